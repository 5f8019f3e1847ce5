/**
 * Bundles each MongoDB driver into one file with V8's code cache, beside the bundles of servers. To load and compile a
 * driver's hundreds of files takes longer than the rest of a server's boot.
 */
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import path from 'node:path'
import { buildSync } from 'esbuild'
import { ROOT } from '../setup.js'
import { cacheOf, writeCacheOf } from './programs/server/cached-script'

/** The folder of the drivers, beside the bundles. */
export const DRIVERS = 'drivers'

const PACKAGES = ['mongodb', 'mongodb-4']

/** @param parent the folder of the bundles */
export function bundleDrivers(parent: string): void {
  mkdirSync(path.join(parent, DRIVERS), { recursive: true })
  for (const name of PACKAGES) {
    const manifest = readFileSync(path.join(ROOT, 'node_modules', name, 'package.json'), 'utf8')
    const { version } = JSON.parse(manifest) as { version: string }
    const banner = `// ${name} ${version}, Node ${process.version}\n`
    const file = path.join(parent, DRIVERS, `${name}.cjs`)
    if (!existsSync(file) || !readFileSync(file, 'utf8').startsWith(banner)) bundleDriver(name, banner, file)
  }
}

function bundleDriver(name: string, banner: string, file: string): void {
  const unfinished = `${file}-${String(process.pid)}`
  buildSync({
    stdin: { contents: `module.exports = require('${name}')`, resolveDir: ROOT },
    outfile: unfinished,
    banner: { js: banner },
    bundle: true,
    // A third of it. Nobody logs in to Amazon here.
    external: ['@aws-sdk/*'],
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    minifyWhitespace: true,
    logLevel: 'error',
  })
  writeCacheOf(unfinished, file)
  // Another process may be reading them. A file without its cache counts as missing.
  renameSync(cacheOf(unfinished), cacheOf(file))
  renameSync(unfinished, file)
}
