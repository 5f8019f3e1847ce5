import { NOT_INHERITED } from '../../server/pool/fork/fork-options'

/** For a server that this process forks: its own, less what belongs to itself. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const inherited = { ...process.env }
  for (const name of NOT_INHERITED) delete inherited[name]
  return { ...inherited, PORT: '0', BIND_IP: '127.0.0.1', METEOR_PARENT_PID: String(process.pid) }
}
