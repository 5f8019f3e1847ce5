import './dispatch.tests'
