// Starts a server from the command line: the app in the folder that STAND_IN_APP names, or the tests of the package.
//   STAND_IN_APP=/path/to/app node --import tsx tools/stand-in/main.js
// It is bundled first, as the Meteor tool does. The workers that it forks run the bundle.
import { pathToFileURL } from 'node:url'
import { bundle } from './bundle'

await import(pathToFileURL(bundle(process.env.STAND_IN_APP)).href)
