/**
 * What to load, worked out from the same files that Meteor reads: `package.js`, and an app's `.meteor/packages` and
 * `package.json`. A package that package.js does not name cannot be imported here either.
 */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'
import { APP_VARIABLE } from './variables'

export interface Program {
  /** Packages that are loaded before the app, in their order, by name. */
  readonly preload: Readonly<Record<string, string>>
  /** The main modules of the app or the test package, loaded in this order. */
  readonly modules: readonly string[]
  /** Where each package is. */
  readonly urls: Readonly<Record<string, string>>
  /** Which packages the files below a prefix may import. The first that fits counts. */
  readonly scopes: readonly { readonly prefix: string; readonly uses: readonly string[] }[]
}

interface Section {
  readonly uses: string[]
  mainModule: string | undefined
}

interface PackageDescription {
  readonly name: string
  readonly onUse: Section
  readonly onTest: Section
}

const ROOT = path.resolve(import.meta.dirname, '../../../..')

const DRIVER = path.join(ROOT, 'tools/test-driver/driver.ts')

/** Packages that do something at build time only. */
const BUILD_ONLY = ['typescript', 'ecmascript', 'zodern:types', 'shell-server', 'meteor-base']

export function readProgram(): Program {
  const description = readPackageDescription(path.join(ROOT, 'package.js'))
  const app = process.env[APP_VARIABLE]
  return app === undefined ? testProgram(description) : appProgram(description, app)
}

function testProgram(description: PackageDescription): Program {
  const main = urlOf(path.join(ROOT, required(description.onTest.mainModule)))
  return {
    ...shared(description, description.onTest.uses),
    modules: [main, urlOf(DRIVER)],
    scopes: [
      { prefix: urlOf(path.join(ROOT, 'tests/')), uses: withImplied(description.onTest.uses) },
      { prefix: urlOf(DRIVER), uses: ['tinytest', 'webapp'] },
      packageScope(description),
    ],
  }
}

function appProgram(description: PackageDescription, app: string): Program {
  const uses = readLines(path.join(app, '.meteor/packages'))
  const { meteor } = JSON.parse(readFileSync(path.join(app, 'package.json'), 'utf8')) as {
    meteor: { mainModule: { server: string } }
  }
  return {
    ...shared(description, uses),
    modules: [urlOf(path.join(app, meteor.mainModule.server))],
    scopes: [{ prefix: urlOf(`${app}/`), uses: withImplied(uses) }, packageScope(description)],
  }
}

function shared(description: PackageDescription, uses: readonly string[]): Pick<Program, 'preload' | 'urls'> {
  const own = urlOf(path.join(ROOT, required(description.onUse.mainModule)))
  const names = [...new Set(withImplied([...description.onUse.uses, ...uses]))]
  const urls = Object.fromEntries(
    names
      .filter(name => !BUILD_ONLY.includes(name))
      .map(name => [name, name === description.name ? own : standIn(name)]),
  )
  const { [description.name]: _own, ...others } = urls
  return { preload: { ...others, [description.name]: own }, urls }
}

/** Every package and app has these. */
function withImplied(uses: readonly string[]): string[] {
  return ['meteor', ...uses]
}

function packageScope({ onUse }: PackageDescription): Program['scopes'][number] {
  return { prefix: urlOf(`${ROOT}/`), uses: withImplied(onUse.uses) }
}

function standIn(name: string): string {
  const file = path.join(import.meta.dirname, 'packages', `${name}.ts`)
  if (!existsSync(file)) throw new Error(`unknown package: ${name} (the stand-in for Meteor has no such package)`)
  return urlOf(file)
}

function readPackageDescription(file: string): PackageDescription {
  const description = { name: '', onUse: newSection(), onTest: newSection() }
  const Package = {
    describe: ({ name }: { name: string }) => {
      description.name = name
    },
    onUse: (body: (api: object) => void) => {
      body(apiFor(description.onUse))
    },
    onTest: (body: (api: object) => void) => {
      body(apiFor(description.onTest))
    },
  }
  runInNewContext(readFileSync(file, 'utf8'), { Package, Npm: { depends: () => undefined } }, { filename: file })
  return description
}

function apiFor(section: Section): object {
  return {
    versionsFrom: () => undefined,
    use: (names: string | string[], _where?: string, options?: { weak?: boolean }) => {
      // A weak dependency is there only when somebody else uses it, and cannot be imported.
      if (options?.weak !== true) section.uses.push(...[names].flat().map(name => withoutVersion(name)))
    },
    mainModule: (file: string) => {
      section.mainModule = file
    },
  }
}

function newSection(): Section {
  return { uses: [], mainModule: undefined }
}

function withoutVersion(name: string): string {
  return name.replace(/@[^@]*$/, '')
}

function readLines(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map(line => withoutVersion(line.replace(/#.*/, '').trim()))
    .filter(line => line !== '')
}

function urlOf(file: string): string {
  return pathToFileURL(file).href
}

function required<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('package.js names no main module for the server')
  return value
}
