import { freePort } from '../free-port'

/**
 * Call this before the web server of this worker listens. Another process may have taken the port since the master
 * looked, which would crash this one. Takes the next free port then.
 */
export async function keepPortFree(): Promise<void> {
  process.env.PORT = String(await freePort(Number(process.env.PORT), new Set()))
}
