/** meteor/webapp: an express app, as in Meteor 3, on PORT and BIND_IP. */
import { type RequestListener, createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { Express } from 'express'

/** Loaded when an app first asks for it: most servers that tests fork have no pages. */
let app: Express | undefined
let onListeningCallbacks: (() => void)[] | null = []

const noPages: RequestListener = (_request, response) => response.end()
const httpServer = createServer((request, response) => (app ?? noPages)(request as never, response as never))

export const WebApp = {
  httpServer,
  get handlers(): Express {
    app ??= (createRequire(import.meta.url)('express') as () => Express)()
    return app
  },
  onListening(callback: () => void) {
    if (onListeningCallbacks === null) callback()
    else onListeningCallbacks.push(callback)
  },
}

/**
 * Like webapp's `main`, does not handle a port that is in use, so the process dies of it
 * (packages/webapp/webapp_server.js).
 */
export function main(): void {
  httpServer.listen(Number(process.env.PORT ?? 0), process.env.BIND_IP ?? '0.0.0.0', () => {
    if (process.env.METEOR_PRINT_ON_LISTEN) console.log('LISTENING')
    const callbacks = onListeningCallbacks ?? []
    onListeningCallbacks = null
    for (const callback of callbacks) callback()
  })
}
