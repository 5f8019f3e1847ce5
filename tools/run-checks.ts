/** npm run check: what needs no database, in less than a minute. */
import { runChecks } from './checks'
import { report } from './count'
import { pureSuites } from './suites'

process.exitCode = report([await runChecks(), await pureSuites()])
