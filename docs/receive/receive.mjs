// Receive webhooks in Node.js: verify `v1` and `v1a`, open what is encrypted.
//
//   npm install jose      // only for encrypted webhooks
//
// Copy `receive` and what stands below it. Run the file to try it on test vectors:
//
//   node receive.mjs vectors.json

import { createHmac, createPrivateKey, createPublicKey, timingSafeEqual, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'

const TOLERANCE_SECONDS = 300

/** Answer 400, and do nothing else. The message is the reason. */
export class NotGenuine extends Error {}

/**
 * Give the envelope.
 * @param known    { secrets: ['whsec_…'], publicKeys: ['whpk_…'], subscriber: 'the subscription',
 *                 privateKeys: { kid: KeyObject } }
 * @param headers  names in lower case, as Node gives them
 * @param body     a Buffer of what came, byte for byte: never what a JSON parser made of it
 */
export async function receive(known, headers, body, now = Date.now() / 1000) {
  const id = headers['webhook-id']
  const timestamp = headers['webhook-timestamp']
  if (!id || !timestamp) throw new NotGenuine('header_missing')
  if (!/^[0-9]{1,15}$/.test(timestamp)) throw new NotGenuine('timestamp_wrong')
  if (Number(timestamp) < now - TOLERANCE_SECONDS) throw new NotGenuine('timestamp_old')
  if (Number(timestamp) > now + TOLERANCE_SECONDS) throw new NotGenuine('timestamp_future')
  if (!headers['webhook-signature']) throw new NotGenuine('signature_missing')
  const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body])
  checkSignature(known, headers['webhook-signature'], content)

  const isEncrypted = (headers['content-type'] ?? '').startsWith('application/jose')
  const envelope = read(isEncrypted ? await decrypt(known, body) : body)
  if (envelope.id !== id) throw new NotGenuine('id_mismatch')
  if (isEncrypted && envelope.subscriber !== known.subscriber)
    throw new NotGenuine('subscriber_mismatch')
  return envelope
}

/** One good signature is enough: during a rotation there are several. */
function checkSignature(known, header, content) {
  let reason = 'signature_unknown'
  for (const token of header.split(' ')) {
    const [version, encoded = ''] = token.split(',')
    const keys = version === 'v1' ? known.secrets : version === 'v1a' ? known.publicKeys : []
    if (!keys?.length) continue
    reason = 'signature_wrong'
    const signature = Buffer.from(encoded, 'base64')
    const isSigner = version === 'v1' ? isSignerV1 : isSignerV1a
    if (keys.some((key) => isSigner(key, signature, content))) return
  }
  throw new NotGenuine(reason)
}

function isSignerV1(secret, signature, content) {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const expected = createHmac('sha256', key).update(content).digest()
  return expected.length === signature.length && timingSafeEqual(expected, signature)
}

function isSignerV1a(publicKey, signature, content) {
  const x = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64').toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  return verify(null, content, key, signature)
}

async function decrypt(known, body) {
  const { compactDecrypt } = await import('jose')
  const keyOf = ({ kid }) => {
    if (!Object.hasOwn(known.privateKeys ?? {}, kid)) throw new NotGenuine('key_unknown')
    return known.privateKeys[kid]
  }
  try {
    const { plaintext } = await compactDecrypt(body, keyOf, {
      keyManagementAlgorithms: ['ECDH-ES+A256KW', 'RSA-OAEP-256'],
      contentEncryptionAlgorithms: ['A256GCM'],
      maxDecompressedLength: 0, // nothing compressed is taken
    })
    return Buffer.from(plaintext)
  } catch (error) {
    throw error instanceof NotGenuine ? error : new NotGenuine('encryption_wrong')
  }
}

function read(plaintext) {
  let envelope
  try {
    envelope = JSON.parse(plaintext.toString('utf8'))
  } catch {
    throw new NotGenuine('body_wrong')
  }
  if (typeof envelope?.id !== 'string') throw new NotGenuine('body_wrong')
  return envelope
}

if (process.argv[2]) {
  for (const vector of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
    const headers = Object.fromEntries(vector.headers.map(([name, v]) => [name.toLowerCase(), v]))
    const keys = Object.entries(vector.private_keys).map(([kid, pem]) => [kid, createPrivateKey(pem)])
    const known = {
      secrets: vector.secrets,
      publicKeys: vector.public_keys,
      privateKeys: Object.fromEntries(keys),
      subscriber: vector.subscriber,
    }
    try {
      const opened = await receive(known, headers, Buffer.from(vector.body), vector.now)
      console.log('genuine', opened.id, opened.type, opened.data.order.note)
    } catch (error) {
      if (!(error instanceof NotGenuine)) throw error
      console.log(error.message)
    }
  }
}
