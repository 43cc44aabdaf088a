<?php
// Receive webhooks in PHP 8.1: verify `v1` and `v1a`, open what is encrypted, with the extensions
// openssl and sodium, which come with PHP. (RSA is not opened here: PHP's openssl knows OAEP with
// SHA-1 only. Publish a key on P-256 or X25519.)
//
// Copy `receive` and what stands below it. Run the file to try it on test vectors:
//
//   php receive.php vectors.json

declare(strict_types=1);

const TOLERANCE_SECONDS = 300;

/** Answer 400, and do nothing else. The message is the reason. */
final class NotGenuine extends Exception
{
}

/** What you were told, and your own private keys by their kid. */
final class Known
{
    public function __construct(
        public readonly array $secrets = [],      // whsec_…
        public readonly array $publicKeys = [],   // whpk_…
        #[SensitiveParameter] public readonly array $privateKeys = [],  // kid => OpenSSLAsymmetricKey
        public readonly string $subscriber = '',  // the name of your subscription
    ) {
    }
}

/**
 * Give the envelope. `$headers` have names in lower case (`getallheaders()` does not do that:
 * `array_change_key_case`); `$body` is what came, byte for byte: `file_get_contents('php://input')`.
 */
function receive(Known $known, array $headers, string $body, int $now): array
{
    $id = $headers['webhook-id'] ?? throw new NotGenuine('header_missing');
    $timestamp = $headers['webhook-timestamp'] ?? throw new NotGenuine('header_missing');
    if (!preg_match('/\A[0-9]{1,15}\z/', $timestamp)) {
        throw new NotGenuine('timestamp_wrong');
    }
    if ((int) $timestamp < $now - TOLERANCE_SECONDS) {
        throw new NotGenuine('timestamp_old');
    }
    if ((int) $timestamp > $now + TOLERANCE_SECONDS) {
        throw new NotGenuine('timestamp_future');
    }
    $signatures = $headers['webhook-signature'] ?? throw new NotGenuine('signature_missing');
    check_signature($known, $signatures, "$id.$timestamp.$body");

    $isEncrypted = str_starts_with($headers['content-type'] ?? '', 'application/jose');
    $plaintext = $isEncrypted ? decrypt($known, $body) : $body;
    $envelope = json_decode($plaintext, true, flags: JSON_BIGINT_AS_STRING);
    if (!is_array($envelope) || !is_string($envelope['id'] ?? null)) {
        throw new NotGenuine('body_wrong');
    }
    if ($envelope['id'] !== $id) {
        throw new NotGenuine('id_mismatch');
    }
    if ($isEncrypted && ($envelope['subscriber'] ?? null) !== $known->subscriber) {
        throw new NotGenuine('subscriber_mismatch');
    }
    return $envelope;
}

/** One good signature is enough: during a rotation there are several. */
function check_signature(Known $known, string $header, string $content): void
{
    $reason = 'signature_unknown';
    foreach (explode(' ', $header) as $token) {
        [$version, $encoded] = explode(',', $token, 2) + [1 => ''];
        $keys = match ($version) {
            'v1' => $known->secrets,
            'v1a' => $known->publicKeys,
            default => [],
        };
        $signature = base64_decode($encoded, true);
        foreach ($keys as $key) {
            $reason = 'signature_wrong';
            $isSigner = $version === 'v1' ? 'is_signer_v1' : 'is_signer_v1a';
            if ($signature !== false && $isSigner($key, $signature, $content)) {
                return;
            }
        }
    }
    throw new NotGenuine($reason);
}

function is_signer_v1(string $secret, string $signature, string $content): bool
{
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true);
    return hash_equals(hash_hmac('sha256', $content, $key, true), $signature);
}

function is_signer_v1a(string $publicKey, string $signature, string $content): bool
{
    $key = base64_decode(preg_replace('/^whpk_/', '', $publicKey), true);
    return strlen($signature) === SODIUM_CRYPTO_SIGN_BYTES
        && sodium_crypto_sign_verify_detached($signature, $content, $key);
}

/** Open a compact JWE: RFC 7516, with the algorithms of RFC 7518 that are sent. */
function decrypt(Known $known, string $body): string
{
    $parts = explode('.', $body);
    $header = json_decode(decode($parts[0]) ?: '', true);
    if (count($parts) !== 5 || !is_string($header['kid'] ?? null)) {
        throw new NotGenuine('encryption_wrong');
    }
    $key = $known->privateKeys[$header['kid']] ?? throw new NotGenuine('key_unknown');
    [, $wrapped, $iv, $ciphertext, $tag] = array_map('decode', $parts);
    if (
        ($header['alg'] ?? null) !== 'ECDH-ES+A256KW' || ($header['enc'] ?? null) !== 'A256GCM'
        || isset($header['zip']) || isset($header['crit'])
        || in_array(false, [$wrapped, $iv, $ciphertext, $tag], true)
        || strlen($iv) !== 12 || strlen($tag) !== 16 // a shorter tag would be easier to guess
    ) {
        throw new NotGenuine('encryption_wrong');
    }
    $shared = openssl_pkey_derive(ephemeral($header['epk'] ?? []), $key);
    $cek = $shared === false ? null : unwrap(derive_key($shared, $header), $wrapped);
    $found = $cek === null ? false : openssl_decrypt(
        $ciphertext, 'aes-256-gcm', $cek, OPENSSL_RAW_DATA, $iv, $tag, $parts[0]
    );
    return $found === false ? throw new NotGenuine('encryption_wrong') : $found;
}

/** The sender's key for this one letter; openssl refuses a point that is not on the curve. */
function ephemeral(array $epk): OpenSSLAsymmetricKey
{
    $x = decode($epk['x'] ?? '');
    $y = decode($epk['y'] ?? '');
    $der = match ($epk['crv'] ?? null) {
        'P-256' => hex2bin('3059301306072a8648ce3d020106082a8648ce3d03010703420004') . $x . $y,
        'X25519' => hex2bin('302a300506032b656e032100') . $x,
        default => throw new NotGenuine('encryption_wrong'),
    };
    $pem = "-----BEGIN PUBLIC KEY-----\n" . base64_encode($der) . "\n-----END PUBLIC KEY-----\n";
    return openssl_pkey_get_public($pem) ?: throw new NotGenuine('encryption_wrong');
}

/** The Concat KDF of RFC 7518 §4.6.2, for 256 bits. */
function derive_key(string $shared, array $header): string
{
    $info = '';
    foreach ([$header['alg'], decode($header['apu'] ?? ''), decode($header['apv'] ?? '')] as $part) {
        $info .= pack('N', strlen($part)) . $part;
    }
    return hash('sha256', pack('N', 1) . $shared . $info . pack('N', 256), true);
}

/** The AES key unwrap of RFC 3394; nothing where another key wrapped it. */
function unwrap(string $kek, string $wrapped): ?string
{
    if (strlen($wrapped) !== 40) {
        return null;
    }
    [$a, $r] = [substr($wrapped, 0, 8), str_split(substr($wrapped, 8), 8)];
    for ($step = 24; $step >= 1; $step--) {
        $i = ($step - 1) % 4;
        $block = ($a ^ pack('J', $step)) . $r[$i];
        $plain = openssl_decrypt(
            $block, 'aes-256-ecb', $kek, OPENSSL_RAW_DATA | OPENSSL_ZERO_PADDING
        );
        [$a, $r[$i]] = str_split($plain, 8);
    }
    return hash_equals(str_repeat("\xa6", 8), $a) ? implode('', $r) : null;
}

function decode(string $text): string|false
{
    return base64_decode(strtr($text, '-_', '+/'), true);
}

if (isset($argv[1]) && realpath($argv[0]) === __FILE__) {
    foreach (json_decode(file_get_contents($argv[1]), true) as $vector) {
        $headers = array_change_key_case(array_column($vector['headers'], 1, 0));
        $keys = array_map('openssl_pkey_get_private', $vector['private_keys']);
        $known = new Known($vector['secrets'], $vector['public_keys'], $keys, $vector['subscriber']);
        try {
            $opened = receive($known, $headers, $vector['body'], $vector['now']);
            echo "genuine {$opened['id']} {$opened['type']} {$opened['data']['order']['note']}\n";
        } catch (NotGenuine $refused) {
            echo "{$refused->getMessage()}\n";
        }
    }
}
