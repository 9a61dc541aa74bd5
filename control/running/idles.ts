/** The document's words for how a worker waits, as the numbers of dataplane/orders.ts. */
export const IDLES = { adaptive: 0, busy: 1, interrupt: 2 } as const;
