/**
 * Starts a server the way Meteor's boot.js does (meteor: tools/static-assets/server/boot.js): packages, then the app,
 * then the startup hooks one by one, then the web server.
 */

export interface Bootstrap {
  startupHooks: (() => unknown)[] | null
  readonly serverDir: string
}

declare global {
  var __meteor_bootstrap__: Bootstrap
}

/** Imports a module. */
type Load = () => Promise<unknown>

/** Every loaded package, by name. */
const loaded: Record<string, object> = {}

globalThis.__meteor_bootstrap__ = { startupHooks: [], serverDir: import.meta.dirname }
Object.assign(globalThis, { Package: loaded })

/**
 * @param appId of `.meteor/.id`
 * @param packages load each package, by name
 * @param modules load the main modules of the app
 */
export async function start(
  appId: string,
  packages: Readonly<Record<string, Load>>,
  modules: readonly Load[],
): Promise<void> {
  process.env.APP_ID ||= appId
  listenLikeMeteor()
  for (const [name, load] of Object.entries(packages)) loaded[name] = (await load()) as object
  for (const load of modules) await load()
  await callStartupHooks()
  const { main } = await import('./packages/webapp')
  main()
  watchParent()
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
