import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { Job, TaskMap, ToggleIPC } from 'meteor/nschwarz:cluster'
import { hold } from './attempt-tasks'
import { faultyErrors, faultyValues } from './faulty'
import { workerMistakes } from './worker-mistakes'

const whatOf = (job: Job) => (job.data as { what: string }).what

/** @returns the name of the error with which the conversation is rejected, and its message */
function rejectionOf(toggleIPC: ToggleIPC, data: unknown): Promise<unknown> {
  return toggleIPC(
    () => 'answered',
    send => {
      send({ status: 2, data })
    },
  ).catch((error: unknown) => {
    const { name, message, code } = error as Error & { code?: unknown }
    return { name, message: message.slice(0, 200), code }
  })
}

/** Tasks whose results, messages and errors do not go through a pipe. */
export const faultyTasks: TaskMap = {
  returnFaulty: job => faultyValues[whatOf(job)]?.(),
  throwFaulty: job => {
    throw faultyErrors[whatOf(job)]?.() as Error
  },
  sayFaulty: (job, toggleIPC) => rejectionOf(toggleIPC, faultyValues[whatOf(job)]?.()),
  askFaulty: (job, toggleIPC) => rejectionOf(toggleIPC, job.data),
  /** Is told to end, and returns what cannot be sent. */
  returnFaultyLate: async (job, toggleIPC, { signal }) => {
    void hold(job, toggleIPC).catch(() => undefined)
    if (!signal.aborted) await once(signal, 'abort')
    return () => undefined
  },
  throwProxy: () => {
    const { proxy, revoke } = Proxy.revocable(new Error('faulty'), {})
    revoke()
    throw proxy
  },
  throwAggregate: () => {
    const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    throw new AggregateError([refused, 'a text'], 'faulty')
  },
  throwAfter: async job => {
    const { message, milliseconds } = job.data as { message: string; milliseconds: number }
    await pause(milliseconds)
    throw new Error(message)
  },
  /** @returns the message of the error that a mistake ends in */
  mistake: async (job, toggleIPC) => {
    try {
      await workerMistakes[whatOf(job)]?.make(toggleIPC)
      return 'no error'
    } catch (error) {
      return (error as Error).message
    }
  },
  throwLines: job => {
    throw new Error((job.data as { message: string }).message)
  },
  bufferSizes: job => {
    const { bytes } = job.data as { bytes: Buffer }
    return [bytes.byteLength, bytes.buffer.byteLength]
  },
}
