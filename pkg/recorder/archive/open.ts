import type { ArchiveLocation } from './location.ts';
import type { ObjectStore } from './object-store.ts';

/** Opens the bucket of an archive; the SDK, a megabyte of code, is loaded here and not before. */
export async function openArchive(location: ArchiveLocation): Promise<ObjectStore> {
  const { openS3 } = await import('./s3.ts');
  return openS3(location);
}
