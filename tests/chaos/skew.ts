/**
 * A machine whose clock is wrong: with this variable the time of day of this process, and of those it forks, is off by
 * so many milliseconds. Imported before anything that asks for the time.
 */
export const SKEW_VARIABLE = 'CHAOS_SKEW_MS'

skew(Number(process.env[SKEW_VARIABLE] ?? 0))

/** From now on the time of day of this process is off by this many milliseconds more. */
export function skew(milliseconds: number): void {
  if (milliseconds === 0) return
  const RealDate = Date
  const now = () => RealDate.now() + milliseconds
  // A proxy, since a subclass would not know the dates that come over a pipe as its own.
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as Date,
    apply: () => String(new RealDate(now())),
    get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
  })
}
