import type { Application } from 'express'

/** @types/meteor still describes the webapp of Meteor 2. */
declare module 'meteor/webapp' {
  namespace WebApp {
    const handlers: Application
  }
}
