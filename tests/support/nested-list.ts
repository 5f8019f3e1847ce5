/** A list in a list, and so on, so many levels deep. */
export function nestedList(levels: number, innermost: unknown = null): unknown {
  let value = innermost
  for (let level = 0; level < levels; level++) value = [value]
  return value
}
