/** meteor/meteor, as far as a server-side package needs it. */
import type { Meteor as Real } from 'meteor/meteor'

class MeteorError extends Error {
  readonly isClientSafe = true
  readonly error: string | number
  readonly reason: string | undefined
  readonly details: string | undefined
  readonly errorType = 'Meteor.Error'

  constructor(error: string | number, reason?: string, details?: string) {
    super(reason === undefined ? `[${String(error)}]` : `${reason} [${String(error)}]`)
    this.error = error
    this.reason = reason
    this.details = details
  }
}

/** Adds to the hooks while the server starts; afterwards calls at once (packages/meteor/startup_server.js). */
function startup(callback: () => unknown): void {
  const { startupHooks } = __meteor_bootstrap__
  if (startupHooks === null) callback()
  else startupHooks.push(callback)
}

/** Collects the mutation methods and automatic publications of collections, so that tests can see them. */
const server = {
  method_handlers: {} as Record<string, unknown>,
  universal_publish_handlers: [] as unknown[],
  publish_handlers: {} as Record<string, unknown>,
  publish(name: string | null, handler: unknown) {
    if (name === null) server.universal_publish_handlers.push(handler)
    else server.publish_handlers[name] = handler
  },
}

const settings: Real.Settings = JSON.parse(process.env.METEOR_SETTINGS ?? '{}') as Real.Settings

/** packages/meteor/test_environment.js */
const test = JSON.parse(process.env.TEST_METADATA ?? '{}') as Readonly<Record<string, unknown>>
const isTest = Boolean(test.isTest)
const isAppTest = Boolean(test.isAppTest)
// Meteor's types do not declare it.
const isPackageTest: object = { isPackageTest: Boolean(test.driverPackage) && !isTest && !isAppTest }

export const Meteor = {
  isTest,
  isAppTest,
  ...isPackageTest,
  isServer: true,
  isClient: false,
  isProduction: process.env.NODE_ENV === 'production',
  isDevelopment: process.env.NODE_ENV !== 'production',
  settings,
  server,
  startup,
  methods(methods: Record<string, unknown>) {
    Object.assign(server.method_handlers, methods)
  },
  /** From the server itself: no client, and nobody is logged in. */
  async callAsync(name: string, ...args: unknown[]) {
    const handler = server.method_handlers[name] as (this: object, ...args: unknown[]) => unknown
    return await handler.call({ userId: null, connection: null, unblock: () => undefined }, ...args)
  },
  publish: (name, handler) => {
    server.publish(name, handler)
  },
  Error: MeteorError,
  // Meteor's own return a number in the browser and a Timeout on the server. Callers only pass it to `clear…`.
  setTimeout: setTimeout as unknown as typeof Real.setTimeout,
  setInterval: setInterval as unknown as typeof Real.setInterval,
  clearTimeout: clearTimeout as unknown as typeof Real.clearTimeout,
  clearInterval: clearInterval as unknown as typeof Real.clearInterval,
} satisfies Partial<Omit<typeof Real, 'Error' | 'startup'>> & { server: object; startup: unknown; Error: unknown }
