/**
 * Simulates a machine whose clock is wrong. This variable says by how many milliseconds the time of day is off, in this
 * process and in those that it forks. Import this module before anything that asks for the time.
 */
export const SKEW_VARIABLE = 'CHAOS_SKEW_MS'

skew(Number(process.env[SKEW_VARIABLE] ?? 0))

/** From now on the time of day of this process is off by this many milliseconds more. */
export function skew(milliseconds: number): void {
  if (milliseconds === 0) return
  const RealDate = Date
  const now = () => RealDate.now() + milliseconds
  // A proxy, since dates that come over a pipe would not be instances of a subclass.
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as Date,
    apply: () => String(new RealDate(now())),
    get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
  })
}
