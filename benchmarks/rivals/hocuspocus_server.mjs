// A server of hocuspocus; given a folder, with its Database extension over one file for each document.
import { readFile, rename, writeFile } from 'node:fs/promises'
import { mkdirSync } from 'node:fs'
import { Database } from '@hocuspocus/extension-database'
import { Server } from '@hocuspocus/server'

const folder = process.argv[2]
const extensions = []
if (folder) {
  mkdirSync(folder, { recursive: true })
  const path = (name) => `${folder}/${encodeURIComponent(name)}`
  const fetch = ({ documentName }) => readFile(path(documentName)).catch(() => null)
  const store = async ({ documentName, state }) => {
    await writeFile(`${path(documentName)}.new`, state)
    await rename(`${path(documentName)}.new`, path(documentName))
  }
  extensions.push(new Database({ fetch, store }))
}

const server = new Server({
  port: 0,
  address: '127.0.0.1',
  quiet: true,
  extensions,
  onListen: async ({ port }) => console.log(`running on port ${port}`)
})
server.listen()
