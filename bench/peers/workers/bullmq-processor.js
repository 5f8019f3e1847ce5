// What BullMQ loads into each of its child processes, which inherit the loader for TypeScript.
import { burn } from '../../burn.ts'
import { now } from '../../clock.ts'

export default function run(job) {
  return Promise.resolve(job.name === 'probe' ? now() - job.data.addedAt : void burn(job.data.iterations))
}
