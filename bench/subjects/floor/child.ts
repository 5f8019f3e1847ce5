/** A bare child process, which answers each message with one. */
import { burn } from '../../burn'
import { now } from '../../clock'

export interface Asked {
  readonly id: string
  readonly taskType: 'noop' | 'time' | 'burn'
  readonly data: { readonly iterations?: number }
}

export interface Answered {
  readonly id: string
  readonly value: number
}

process.on('message', ({ id, taskType, data }: Asked) => {
  const value = taskType === 'burn' ? burn(data.iterations ?? 0) : taskType === 'time' ? now() : 0
  process.send?.({ id, value } satisfies Answered)
})
process.once('disconnect', () => {
  process.exit()
})
process.send?.({ id: '', value: now() } satisfies Answered)
