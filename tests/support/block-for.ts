/** Nobody writes to it. */
const CELL = new Int32Array(new SharedArrayBuffer(4))

/** Blocks the event loop of this process for this many milliseconds, without using the processor. */
export function blockFor(milliseconds: number): void {
  Atomics.wait(CELL, 0, 0, milliseconds)
}
