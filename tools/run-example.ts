/**
 * npm start: serves the example app on http://localhost:3000, on the Meteor tool if it is installed, else on the
 * stand-in. With `--exit` the app exits when all its tasks are finished, and prints how fast they were.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { startDatabase } from './mongod'
import { ROOT, hasMeteor } from './setup.js'
import { standIn } from './stand-in/start'

const APP = path.join(ROOT, 'example')
const PORT = process.env.PORT ?? '3000'

async function main(): Promise<void> {
  const database = await startDatabase()
  console.log(
    `Example app on ${hasMeteor() ? 'the Meteor tool' : 'the stand-in for Meteor (the Meteor tool is not installed)'}`,
  )
  console.log(`MongoDB: ${database.origin}`)
  try {
    process.exitCode = await serve(database.url)
  } finally {
    await database.stop()
  }
}

async function serve(MONGO_URL: string): Promise<number> {
  const { command, args, env } = hasMeteor()
    ? { command: 'meteor', args: ['run', '--once', '--port', PORT], env: {} }
    : standIn(APP)
  const exit = process.argv.includes('--exit') ? { EXAMPLE_EXIT: '1' } : {}
  const app = spawn(command, args, {
    cwd: APP,
    stdio: 'inherit',
    env: { ...process.env, ...env, ...exit, PORT, ROOT_URL: `http://localhost:${PORT}`, MONGO_URL },
  })
  // Ctrl-C reaches the app directly; this process stays to stop the database.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => app.kill('SIGTERM'))
  const [code, signal] = (await once(app, 'exit')) as [number | null, NodeJS.Signals | null]
  return code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : 1)
}

await main()
