/** Stands for what only the master needs. */
import { markMasterImports } from './has-master-imports'

markMasterImports()
