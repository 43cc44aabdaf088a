# frozen_string_literal: true

# Receive webhooks in Ruby 3.1: verify `v1` and `v1a`, open what is encrypted. Only the openssl and
# json that come with Ruby.
#
# Copy the module. Run the file to try it on test vectors:
#
#   ruby receive.rb vectors.json

require 'json'
require 'openssl'

module Receive
  TOLERANCE_SECONDS = 300

  # Answer 400, and do nothing else. The message is the reason.
  class NotGenuine < StandardError; end

  # What you were told (whsec_…, whpk_…), and your own private keys (OpenSSL::PKey) by their kid.
  Known = Struct.new(:secrets, :public_keys, :private_keys, :subscriber, keyword_init: true) do
    def inspect = '#<Known>'
    alias_method :to_s, :inspect
  end

  module_function

  # Give the envelope. `headers` have names in lower case; `body` is what came, byte for byte:
  # in Rails, `request.raw_post`.
  def receive(known, headers, body, now = Time.now.to_i)
    id, timestamp = headers.values_at('webhook-id', 'webhook-timestamp')
    raise NotGenuine, 'header_missing' unless id && timestamp
    raise NotGenuine, 'timestamp_wrong' unless timestamp.match?(/\A[0-9]{1,15}\z/)
    raise NotGenuine, 'timestamp_old' if timestamp.to_i < now - TOLERANCE_SECONDS
    raise NotGenuine, 'timestamp_future' if timestamp.to_i > now + TOLERANCE_SECONDS

    signatures = headers['webhook-signature'] or raise NotGenuine, 'signature_missing'
    check_signature(known, signatures, "#{id}.#{timestamp}.".b + body.b)

    is_encrypted = headers.fetch('content-type', '').start_with?('application/jose')
    envelope = read(is_encrypted ? decrypt(known, body) : body)
    raise NotGenuine, 'id_mismatch' unless envelope['id'] == id
    if is_encrypted && envelope['subscriber'] != known.subscriber
      raise NotGenuine, 'subscriber_mismatch'
    end

    envelope
  end

  # One good signature is enough: during a rotation there are several.
  def check_signature(known, header, content)
    reason = 'signature_unknown'
    header.split(' ').each do |token|
      version, encoded = token.split(',', 2)
      keys = { 'v1' => known.secrets, 'v1a' => known.public_keys }[version]
      next if keys.nil? || keys.empty?

      reason = 'signature_wrong'
      signature = encoded.to_s.unpack1('m0')
      is_signer = version == 'v1' ? method(:signer_v1?) : method(:signer_v1a?)
      return if keys.any? { |key| is_signer.call(key, signature, content) }
    rescue ArgumentError # not base64
      next
    end
    raise NotGenuine, reason
  end

  def signer_v1?(secret, signature, content)
    key = secret.delete_prefix('whsec_').unpack1('m0')
    OpenSSL.secure_compare(OpenSSL::HMAC.digest('SHA256', key, content), signature)
  end

  def signer_v1a?(public_key, signature, content)
    raw = public_key.delete_prefix('whpk_').unpack1('m0')
    key = OpenSSL::PKey.read(['302a300506032b6570032100'].pack('H*') + raw) # "this is Ed25519"
    key.verify(nil, signature, content)
  rescue OpenSSL::PKey::PKeyError # a signature of another length
    false
  end

  # Open a compact JWE: RFC 7516, with the two algorithms of RFC 7518 that are sent.
  def decrypt(known, body)
    texts = body.split('.', -1)
    raise NotGenuine, 'encryption_wrong' unless texts.size == 5

    protected_header, wrapped, iv, ciphertext, tag = texts.map { |text| decode(text) }
    header = JSON.parse(protected_header)
    key = known.private_keys[header['kid']] or raise NotGenuine, 'key_unknown'
    is_agreed = header['enc'] == 'A256GCM' && !header.key?('zip') && !header.key?('crit') &&
                iv.bytesize == 12 && tag.bytesize == 16 # a shorter tag would be easier to guess
    raise NotGenuine, 'encryption_wrong' unless is_agreed

    cipher = OpenSSL::Cipher.new('aes-256-gcm').decrypt
    cipher.key = content_key(key, header, wrapped)
    cipher.iv = iv
    cipher.auth_tag = tag
    cipher.auth_data = texts[0]
    (ciphertext.empty? ? ''.b : cipher.update(ciphertext)) + cipher.final
  rescue OpenSSL::OpenSSLError, ArgumentError, TypeError, NoMethodError, JSON::ParserError
    raise NotGenuine, 'encryption_wrong'
  end

  def content_key(key, header, wrapped)
    case [key.oid, header['alg']]
    in ['rsaEncryption', 'RSA-OAEP-256']
      key.decrypt(wrapped, 'rsa_padding_mode' => 'oaep', 'rsa_oaep_md' => 'sha256',
                           'rsa_mgf1_md' => 'sha256')
    in ['id-ecPublicKey' | 'X25519', 'ECDH-ES+A256KW']
      kek = derive_key(key.derive(ephemeral(header['epk'])), header)
      unwrap = OpenSSL::Cipher.new('id-aes256-wrap').decrypt
      unwrap.key = kek
      unwrap.iv = ["\xa6".b * 8].join
      unwrap.update(wrapped) + unwrap.final
    else
      raise NotGenuine, 'encryption_wrong'
    end
  end

  # The sender's key for this one letter; openssl refuses a point that is not on the curve.
  def ephemeral(epk)
    x = decode(epk['x'])
    case epk['crv']
    when 'P-256'
      start = '3059301306072a8648ce3d020106082a8648ce3d03010703420004'
      OpenSSL::PKey.read([start].pack('H*') + x + decode(epk['y']))
    when 'X25519'
      OpenSSL::PKey.read(['302a300506032b656e032100'].pack('H*') + x)
    else
      raise NotGenuine, 'encryption_wrong'
    end
  end

  # The Concat KDF of RFC 7518 §4.6.2, for 256 bits.
  def derive_key(shared, header)
    parts = [header['alg'].b, decode(header['apu'].to_s), decode(header['apv'].to_s)]
    info = parts.map { |part| [part.bytesize].pack('N') + part }.join
    OpenSSL::Digest::SHA256.digest([1].pack('N') + shared + info + [256].pack('N'))
  end

  def read(plaintext)
    envelope = JSON.parse(plaintext)
    return envelope if envelope.is_a?(Hash) && envelope['id'].is_a?(String)

    raise NotGenuine, 'body_wrong'
  rescue JSON::ParserError
    raise NotGenuine, 'body_wrong'
  end

  def decode(text)
    (text.tr('-_', '+/') + '=' * (-text.size % 4)).unpack1('m0')
  end
end

if $PROGRAM_NAME == __FILE__
  JSON.parse(File.read(ARGV.fetch(0), encoding: 'UTF-8')).each do |vector|
    known = Receive::Known.new(
      secrets: vector['secrets'],
      public_keys: vector['public_keys'],
      private_keys: vector['private_keys'].transform_values { |pem| OpenSSL::PKey.read(pem) },
      subscriber: vector['subscriber']
    )
    headers = vector['headers'].to_h { |name, value| [name.downcase, value] }
    opened = Receive.receive(known, headers, vector['body'], vector['now'])
    puts "genuine #{opened['id']} #{opened['type']} #{opened['data']['order']['note']}"
  rescue Receive::NotGenuine => e
    puts e.message
  end
end
