/** Where front ends come from: a socket that weft listens at (listener.ts), or one that it seeks (dialer.ts). Main thread. */

export interface Endpoint {
  /** Why nobody is there, as a sentence without a full stop. */
  readonly reason: string;
  /** The last connection is over. `served`: it came far enough that the next one is worth having at once. */
  released(served: boolean): void;
  /** No client comes any more. Closing twice is nothing. */
  close(): void;
}

/** Takes a connection's descriptor over. */
export type OnClient = (fd: number) => void;
