/**
 * npm start: serves the example app on http://localhost:3000, on the Meteor tool if it is installed, else on the
 * stand-in. With `--exit` the app exits when all its tasks are finished, and prints how fast they were.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { canListen } from '../server/free-port'
import { startDatabase } from './mongod'
import { ROOT, hasMeteor } from './setup.js'
import { standIn } from './stand-in/start'

const APP = path.join(ROOT, 'example')
const PORT = process.env.PORT ?? '3000'
const EXITS = process.argv.includes('--exit')

/** When this process was first told to end, on performance.now. */
let stoppedAt: number | undefined
/** One Ctrl-C comes twice: from the terminal, and from `npm start`. What comes later than this is another one. */
const SAME_SIGNAL_MS = 500
let app: ChildProcess | undefined

async function main(): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  process.on('exit', () => app?.kill('SIGTERM'))
  if (!/^\d{1,5}$/.test(PORT) || Number(PORT) > 65_535 || !(await canListen(Number(PORT)))) {
    console.error(`Port ${PORT} cannot be used. Choose a free one: PORT=4000 npm start`)
    return 1
  }
  console.log(
    `The example app will be at http://localhost:${PORT} in some seconds; PORT=… npm start uses another port.`,
  )
  console.log(
    EXITS ? 'It exits when all tasks are done.' : 'Ctrl-C ends it; npm start -- --exit ends when all tasks are done.',
  )
  if (isStopped()) return 0
  const database = await startDatabase()
  const where = hasMeteor() ? 'the Meteor tool' : 'the stand-in for Meteor (the Meteor tool is not installed)'
  console.log(`Runs on ${where}, MongoDB: ${database.origin}`)
  try {
    return await serve(database.url)
  } finally {
    await database.stop()
  }
}

async function serve(MONGO_URL: string): Promise<number> {
  if (isStopped()) return 0
  const { command, args, env } = hasMeteor()
    ? { command: 'meteor', args: ['run', '--once', '--port', PORT], env: {} }
    : standIn(APP)
  const exit = EXITS ? { EXAMPLE_EXIT: '1' } : {}
  app = spawn(command, args, {
    cwd: APP,
    stdio: 'inherit',
    env: { ...process.env, ...env, ...exit, PORT, ROOT_URL: `http://localhost:${PORT}`, MONGO_URL },
    // In a process group of its own: it is signalled once, by this process, and its workers follow it.
    detached: true,
  })
  const [code] = (await once(app, 'exit')) as [number | null]
  return isStopped() ? 0 : (code ?? 1)
}

function isStopped(): boolean {
  return stoppedAt !== undefined
}

/** A second Ctrl-C does not wait for the app. */
function stop(): void {
  const isAgain = performance.now() - (stoppedAt ?? Infinity) > SAME_SIGNAL_MS
  stoppedAt ??= performance.now()
  app?.kill(isAgain ? 'SIGKILL' : 'SIGTERM')
}

try {
  process.exit(await main())
} catch (error) {
  // A signal that came during a synchronous call is heard of now. It has also ended what that call waited for.
  await new Promise(setImmediate)
  if (isStopped()) process.exit(0)
  throw error
}
