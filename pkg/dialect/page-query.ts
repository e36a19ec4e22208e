/**
 * All that a query of a list of models, or of the page of one, may say: where a page begins and how long it is, and which version of the API is asked.
 * Other parameters are a server's own (llama.cpp's `reload` has it load its models anew), or a credential, which would go on to the model.
 */
const parameter =
  /^(?:pageSize|pageToken|page_size|page_token|limit|after_id|before_id|after|order|api-version|beta|alt)=(?:[\w.~:@/+=-]|%[0-9A-Fa-f]{2}){0,1024}$/;

/** @param query without `?` */
export const isPageQuery = (query: string): boolean =>
  query === '' || query.split('&').every((one) => parameter.test(one));
