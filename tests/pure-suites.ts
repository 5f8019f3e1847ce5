/** The suites that need no database and no other process: `npm run check` runs them. */
import './role.tests'
import './task.tests'
import './options.tests'
import './errors.tests'
import './fork-options.tests'
import './followers.tests'
import './memory-queue.tests'
import './waiting-entries.tests'
