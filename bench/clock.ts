/** Milliseconds of the monotonic clock, which all processes of a machine share. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** How long something took, in milliseconds. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const startedAt = now()
  await run()
  return now() - startedAt
}
