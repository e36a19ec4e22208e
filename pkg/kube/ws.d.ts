/** The declarations of client-node name these types of a library that has none; nothing here uses them. */
declare module 'ws' {
  export class WebSocket {}
  export type ClientOptions = object;
  export default WebSocket;
}
