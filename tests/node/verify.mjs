// Judges deliveries with libraries that we did not write.
//
// Reads a JSON list of requests on standard input, and writes a list of answers in their order. A
// request has:
//   profile   "standardwebhooks" | "svix"   v1, by the package of that name
//             "v1a"                         Ed25519, by node:crypto: no package verifies it yet
//             "rfc9421"                     by http-message-signatures, and the digest by node:crypto
//             "jwe"                         opens the body, by jose
//   headers   object, or list of pairs      body   text
//   now       seconds                       url, method   for rfc9421 (POST, if not said)
//   secrets        ["whsec_…"]              public_keys   ["whpk_…"], or JWKs of Ed25519
//   private_keys   {kid: PEM}, for jwe      tag    for rfc9421 ("dispatcher", if not said)
// An answer is {"verified": true}, for jwe with "plaintext" and "header", or
// {"verified": false, "why": "…"} in the library's own words.

import { createHash, createHmac, createPrivateKey, createPublicKey, timingSafeEqual, verify }
  from 'node:crypto'
import { text } from 'node:stream/consumers'
import { httpbis } from 'http-message-signatures'
import { compactDecrypt } from 'jose'
import { Webhook as Standard } from 'standardwebhooks'
import { Webhook as Svix } from 'svix'

const COVERED = [
  '@method', '@target-uri', 'content-type', 'content-digest', 'webhook-id', 'webhook-timestamp',
]
const PARAMETERS = ['created', 'expires', 'keyid', 'alg', 'tag']

function byAnyKey(keys, judge) {
  let last = new Error('no key was given')
  for (const key of keys ?? []) {
    try {
      return judge(key)
    } catch (error) {
      last = error
    }
  }
  throw last
}

function ed25519(key) {
  const jwk = typeof key === 'string'
    ? { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(key.slice(5), 'base64').toString('base64url') }
    : key
  return createPublicKey({ key: jwk, format: 'jwk' })
}

function standardwebhooks({ secrets, headers, body }) {
  byAnyKey(secrets, (secret) => new Standard(secret).verify(body, headers, { jsonParse: false }))
}

function svix({ secrets, headers, body }) {
  byAnyKey(secrets, (secret) => {
    try {
      new Svix(secret).verify(body, headers)
    } catch (error) {
      // It reads the body once the signature has proven right; a JWE is no JSON.
      if (!(error instanceof SyntaxError) || headers['content-type'] !== 'application/jose') throw error
    }
  })
}

function v1a({ public_keys, headers, body, now }) {
  const at = headers['webhook-timestamp']
  if (!/^\d+$/.test(at) || Math.abs(now - at) > 300) throw new Error('the timestamp is not now')
  const content = Buffer.from(`${headers['webhook-id']}.${at}.${body}`)
  const tokens = (headers['webhook-signature'] ?? '').split(' ').map((token) => token.split(','))
  const signatures = tokens.filter(([version]) => version === 'v1a')
  const isGenuine = (key, [, signature]) =>
    verify(null, content, ed25519(key), Buffer.from(signature ?? '', 'base64'))
  if (!public_keys.some((key) => signatures.some((token) => isGenuine(key, token))))
    throw new Error('no signature is by a key that was given')
}

async function rfc9421({ secrets, public_keys, headers, body, url, method, tag, now }) {
  const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
  if (!(headers['content-digest'] ?? '').split(/, ?/).includes(digest))
    throw new Error('content-digest is not that of the body')
  const isGenuine = { 'hmac-sha256': byHmac, ed25519: byEd25519 }
  const key = (params) => ({
    id: params.keyid,
    algs: Object.keys(isGenuine),
    verify: (base, signature) => isGenuine[params.alg](base, signature),
  })
  function byHmac(base, signature) {
    return (secrets ?? []).some((secret) => {
      const key = Buffer.from(secret.slice(6), 'base64')
      const found = createHmac('sha256', key).update(base).digest()
      return found.length === signature.length && timingSafeEqual(found, signature)
    })
  }
  function byEd25519(base, signature) {
    return (public_keys ?? []).some((key) => verify(null, base, ed25519(key), signature))
  }
  const found = await httpbis.verifyMessage({
    keyLookup: async (params) => (params.tag === (tag ?? 'dispatcher') ? key(params) : null),
    requiredFields: COVERED,
    requiredParams: PARAMETERS,
    maxAge: 300,
    notAfter: now + 300,
  }, { method: method ?? 'POST', url, headers })
  if (found !== true) throw new Error(`the signature is ${found === null ? 'missing' : 'wrong'}`)
}

async function jwe({ private_keys, body }) {
  const key = ({ kid }) => {
    if (!Object.hasOwn(private_keys, kid)) throw new Error('no private key of that kid was given')
    return createPrivateKey(private_keys[kid])
  }
  const { plaintext, protectedHeader } = await compactDecrypt(body, key, {
    keyManagementAlgorithms: ['ECDH-ES+A256KW', 'RSA-OAEP-256'],
    contentEncryptionAlgorithms: ['A256GCM'],
    maxDecompressedLength: 0, // nothing compressed is taken
  })
  return { plaintext: Buffer.from(plaintext).toString(), header: protectedHeader }
}

const PROFILES = { standardwebhooks, svix, v1a, rfc9421, jwe }

async function answer(request) {
  const pairs = Array.isArray(request.headers) ? request.headers : Object.entries(request.headers)
  const headers = Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value]))
  const now = request.now ?? Math.floor(Date.now() / 1000)
  // The libraries ask the clock, and take no time of ours.
  const ask = Date.now
  Date.now = () => now * 1000
  try {
    return { verified: true, ...(await PROFILES[request.profile]({ ...request, headers, now })) }
  } catch (error) {
    return { verified: false, why: error.message }
  } finally {
    Date.now = ask
  }
}

const answers = []
for (const request of JSON.parse(await text(process.stdin))) answers.push(await answer(request))
process.stdout.write(JSON.stringify(answers))
