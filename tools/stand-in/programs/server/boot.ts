/**
 * Starts a server the way Meteor's boot.js does (meteor: tools/static-assets/server/boot.js): packages, then the app,
 * then the startup hooks one by one, then the web server.
 */
import Module, { register } from 'node:module'
import path from 'node:path'
import { type Program, readProgram } from './program'
import { APP_VARIABLE } from './variables'

export interface Bootstrap {
  startupHooks: (() => unknown)[] | null
  readonly serverDir: string
}

declare global {
  var __meteor_bootstrap__: Bootstrap
}

/** Every loaded package, by name. */
const loaded: Record<string, object> = {}

globalThis.__meteor_bootstrap__ = { startupHooks: [], serverDir: import.meta.dirname }
Object.assign(globalThis, { Package: loaded })

async function start(): Promise<void> {
  listenLikeMeteor()
  offerNpmPackages()
  const program = readProgram()
  register('./resolve-hook.js', import.meta.url, { data: program })
  await loadModules(program)
  await callStartupHooks()
  const { main } = await import('./packages/webapp')
  main()
  watchParent()
}

/**
 * Meteor puts an app's npm packages into `npm/node_modules` of serverDir; here Node finds them from there all the same.
 */
function offerNpmPackages(): void {
  const app = process.env[APP_VARIABLE]
  if (app === undefined) return
  process.env.NODE_PATH = path.join(app, 'node_modules')
  ;(Module as unknown as { _initPaths(): void })._initPaths()
}

async function loadModules({ preload, modules }: Program): Promise<void> {
  for (const [name, url] of Object.entries(preload)) loaded[name] = (await import(url)) as object
  for (const url of modules) await import(url)
}

async function callStartupHooks(): Promise<void> {
  const { startupHooks } = __meteor_bootstrap__
  for (let hook = startupHooks?.shift(); hook; hook = startupHooks?.shift()) await hook()
  __meteor_bootstrap__.startupHooks = null
}

/** Meteor's inter-process-messaging listens too, and reads `type` unguarded: null over the pipe ends the process. */
function listenLikeMeteor(): void {
  process.on('message', (message: { type?: unknown }) => String(message.type))
}

/** Polls the parent that METEOR_PARENT_PID names, as boot.js does. */
function watchParent(): void {
  const parent = Number(process.env.METEOR_PARENT_PID)
  if (!parent) return
  setInterval(() => {
    try {
      process.kill(parent, 0)
    } catch {
      console.error('Parent process is dead! Exiting.')
      process.exit(1)
    }
  }, 3000)
}

await start()
