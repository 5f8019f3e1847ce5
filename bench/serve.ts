/** The subject's side of the pipe: runs the operations that the bench requests. */
import type { Answer, Operations, Request, Settings } from './protocol'
import { SETTINGS_VARIABLE } from './protocol'
import { web } from './web'

export function readSettings(): Settings {
  return JSON.parse(process.env[SETTINGS_VARIABLE] ?? '') as Settings
}

const DEFAULTS: Partial<Operations> = {
  note: () => Promise.resolve(''),
  // Most subjects are ready from the start.
  listen: () => Promise.resolve(),
  ...web,
}

/** Answers requests from now on, until the bench is gone. */
export function serve(operations: Partial<Operations>): void {
  process.on('message', (request: Request) => void answer(operations, request))
  process.once('disconnect', () => {
    process.exit(1)
  })
  send({ ready: true })
}

async function answer(operations: Partial<Operations>, { id, operation, args }: Request): Promise<void> {
  try {
    const run = { ...DEFAULTS, ...operations }[operation] as ((...args: readonly unknown[]) => unknown) | undefined
    if (run === undefined) throw new Error(`this subject has no operation ${operation}`)
    send({ id, value: await run(...args) })
  } catch (error) {
    send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
}

function send(message: Answer): void {
  process.send?.(message)
}
