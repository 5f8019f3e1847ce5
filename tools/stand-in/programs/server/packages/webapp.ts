/** meteor/webapp: an express app, as in Meteor 3, on PORT and BIND_IP. */
import { createServer } from 'node:http'
import express from 'express'

const handlers = express()
const httpServer = createServer(handlers)
let onListeningCallbacks: (() => void)[] | null = []

export const WebApp = {
  handlers,
  httpServer,
  onListening(callback: () => void) {
    if (onListeningCallbacks === null) callback()
    else onListeningCallbacks.push(callback)
  },
}

/** Like webapp's `main`: no handler for a port in use, so that the process dies of it (packages/webapp/webapp_server.js). */
export function main(): void {
  httpServer.listen(Number(process.env.PORT ?? 0), process.env.BIND_IP ?? '0.0.0.0', () => {
    if (process.env.METEOR_PRINT_ON_LISTEN) console.log('LISTENING')
    const callbacks = onListeningCallbacks ?? []
    onListeningCallbacks = null
    for (const callback of callbacks) callback()
  })
}
