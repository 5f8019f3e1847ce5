// Stands where a bundle's main.js stands, two folders above `serverDir`, and does what that one does
// (meteor: tools/isobuild/bundler.js, "main.js").
import path from 'node:path'

process.argv.splice(2, 0, 'program.json')
process.chdir(path.join(import.meta.dirname, 'programs', 'server'))
await import('./programs/server/boot.ts')
