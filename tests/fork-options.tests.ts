import { Tinytest } from 'meteor/tinytest'
import { forkOptions } from '../server/pool/fork/fork-options'

const fork = (env: NodeJS.ProcessEnv = {}, execArgv: string[] = [], workerExecArgv: string[] = []) =>
  forkOptions(
    { env, execArgv, workerExecArgv, execPath: 'node', pid: 42, ownerKey: '42@7', main: 'main.js', args: [], cwd: '/' },
    3009,
  )

Tinytest.add('fork options - a worker gets its own port on loopback and the pid of its master', test => {
  const { env } = fork({ PORT: '80', BIND_IP: '0.0.0.0', METEOR_PARENT_PID: '1' })
  test.equal([env?.PORT, env?.BIND_IP, env?.METEOR_PARENT_PID], ['3009', '127.0.0.1', '42'])
  test.matches(env?.NSCHWARZ_CLUSTER_WORKER ?? '', /^42@7 [0-9a-f]{64}$/)
})

Tinytest.add('fork options - what would hurt the master is not inherited', test => {
  const harmful = {
    UNIX_SOCKET_PATH: '/run/app.sock',
    METEOR_PRINT_ON_LISTEN: 'true',
    METEOR_SHELL_DIR: '/shell',
    METEOR_INSPECT_BRK: '1',
    MONGO_OPLOG_URL: 'mongodb://oplog',
  }
  const { env } = fork(harmful)
  test.equal(
    Object.keys(harmful).filter(name => env?.[name] !== undefined),
    [],
  )
})

Tinytest.add('fork options - what the app needs is inherited', test => {
  const needed = { MONGO_URL: 'mongodb://db', ROOT_URL: 'https://app', METEOR_SETTINGS: '{}', MAIL_URL: 'smtp://mail' }
  const { env } = fork(needed)
  test.equal(
    Object.entries(needed).filter(([name, value]) => env?.[name] !== value),
    [],
  )
})

Tinytest.add('fork options - the inspector stays with the master, other flags are kept', test => {
  const { env, execArgv } = fork({ NODE_OPTIONS: '--inspect-port 9230 --max-old-space-size=512 --inspect=9230' }, [
    '--inspect-brk',
    '--debug-port',
    '9231',
    '--enable-source-maps',
  ])
  test.equal(execArgv, ['--enable-source-maps'])
  test.equal(env?.NODE_OPTIONS, '--max-old-space-size=512')
})

Tinytest.add("fork options - the master's own environment is left as it was", test => {
  const env = { PORT: '80', METEOR_SHELL_DIR: '/shell' }
  fork(env)
  test.equal(env, { PORT: '80', METEOR_SHELL_DIR: '/shell' })
})

Tinytest.add('fork options - flags for workers come behind those of the master', test => {
  const { execArgv } = fork({}, ['--inspect', '--max-old-space-size=4096'], ['--max-old-space-size=512'])
  test.equal(execArgv, ['--max-old-space-size=4096', '--max-old-space-size=512'])
})
