/**
 * The entry of the test package. The tests' own server loads the suites; the servers that tests fork load one of the
 * apps instead, and so do the workers of these.
 */
import './chaos/skew'
import { Cluster } from 'meteor/nschwarz:cluster'
import { examples } from './examples'
import { APP_VARIABLE, BOOT_FAILURE_VARIABLE, EXAMPLE_PREFIX, SUITES_VARIABLE } from './support/remote-protocol'

// `await` at the top level is for entries like this one: Meteor cannot import() a module that has it.
const app = process.env[APP_VARIABLE]

if (process.env[BOOT_FAILURE_VARIABLE] !== undefined && !Cluster.isMaster()) {
  console.error('this worker fails to boot')
  process.exit(7)
}

if (app === undefined) {
  if (process.env[SUITES_VARIABLE] === 'pure') await import('./pure-suites')
  else await import('./suites')
} else if (app === 'remote') {
  await import('./support/remote-app')
  if (Cluster.isMaster()) await import('./support/master-imports')
} else if (app === 'chaos') {
  await import('./chaos/app')
} else if (app.startsWith(EXAMPLE_PREFIX)) {
  const example = examples[app.slice(EXAMPLE_PREFIX.length)]
  if (example === undefined) throw new Error(`no example is called ${app}`)
  await example()
} else {
  throw new Error(`${APP_VARIABLE} names no app of the tests: ${app}`)
}
