/** Adds `count`, at most `size` with each call. @param add gets how many to add, and how many were added before */
export async function inBatches(
  count: number,
  size: number,
  add: (length: number, before: number) => Promise<unknown>,
): Promise<void> {
  for (let added = 0; added < count; added += size) await add(Math.min(size, count - added), added)
}
