// What tinypool and piscina load into each worker. A `time` job returns when it started, by the clock that all
// processes share.
import { setTimeout as pause } from 'node:timers/promises'

export default function run({ job, ms }) {
  if (job === 'hold') return pause(ms)
  return job === 'time' ? Number(process.hrtime.bigint()) / 1e6 : undefined
}
