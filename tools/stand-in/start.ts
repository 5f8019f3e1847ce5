import { bundle } from './bundle'

const DRIVER = 'local:cluster-test-driver'

interface Start {
  readonly command: string
  readonly args: string[]
  readonly env: NodeJS.ProcessEnv
}

/** How to start the stand-in with an app in a folder. */
export function standIn(app: string): Start {
  return startOf(bundle(app), {})
}

/** With the tests of the package. */
export function standInForTests(): Start {
  return startOf(bundle(), { driverPackage: DRIVER })
}

/** With the tests of an app. */
export function standInForAppTests(app: string): Start {
  return startOf(bundle(app, true), { driverPackage: DRIVER, isTest: true })
}

/** @param test what Meteor says of a test in TEST_METADATA */
function startOf(main: string, test: object): Start {
  const env = { ROOT_URL: process.env.ROOT_URL ?? 'http://localhost:3000', TEST_METADATA: JSON.stringify(test) }
  return { command: process.execPath, args: [main], env }
}
