// Receive webhooks in Go: verify `v1` and `v1a`, open what is encrypted. Standard library only.
//
// Copy Receive and what stands below it. Run the file to try it on test vectors:
//
//	go run receive.go vectors.json
package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

const toleranceSeconds = 300

// NotGenuine is the reason why nothing came out: answer 400, and do nothing else.
type NotGenuine string

func (reason NotGenuine) Error() string { return string(reason) }

// Known is what you were told, and your own private keys by their kid.
type Known struct {
	Secrets     []string       // whsec_…
	PublicKeys  []string       // whpk_…
	PrivateKeys map[string]any // *ecdh.PrivateKey or *rsa.PrivateKey
	Subscriber  string         // the name of your subscription
}

// Envelope is what the sender said.
type Envelope struct {
	ID         *string         `json:"id"`
	Type       string          `json:"type"`
	Timestamp  string          `json:"timestamp"`
	Subscriber string          `json:"subscriber"`
	Data       json.RawMessage `json:"data"`
}

var digits = regexp.MustCompile(`^[0-9]{1,15}$`)

// Receive gives the envelope. Get takes a header's name, as http.Header's Get does; body is what
// came, byte for byte.
func Receive(known Known, get func(string) string, body []byte, now int64) (*Envelope, error) {
	id, timestamp := get("Webhook-Id"), get("Webhook-Timestamp")
	if id == "" || timestamp == "" {
		return nil, NotGenuine("header_missing")
	}
	if !digits.MatchString(timestamp) {
		return nil, NotGenuine("timestamp_wrong")
	}
	at, _ := strconv.ParseInt(timestamp, 10, 64)
	if at < now-toleranceSeconds {
		return nil, NotGenuine("timestamp_old")
	}
	if at > now+toleranceSeconds {
		return nil, NotGenuine("timestamp_future")
	}
	signatures := get("Webhook-Signature")
	if signatures == "" {
		return nil, NotGenuine("signature_missing")
	}
	content := append([]byte(id+"."+timestamp+"."), body...)
	if err := checkSignature(known, signatures, content); err != nil {
		return nil, err
	}

	isEncrypted := strings.HasPrefix(get("Content-Type"), "application/jose")
	if isEncrypted {
		var err error
		if body, err = decrypt(known, string(body)); err != nil {
			return nil, err
		}
	}
	var envelope Envelope
	if err := json.Unmarshal(body, &envelope); err != nil || envelope.ID == nil {
		return nil, NotGenuine("body_wrong")
	}
	if *envelope.ID != id {
		return nil, NotGenuine("id_mismatch")
	}
	if isEncrypted && envelope.Subscriber != known.Subscriber {
		return nil, NotGenuine("subscriber_mismatch")
	}
	return &envelope, nil
}

// One good signature is enough: during a rotation there are several.
func checkSignature(known Known, header string, content []byte) error {
	reason := NotGenuine("signature_unknown")
	for _, token := range strings.Split(header, " ") {
		version, encoded, _ := strings.Cut(token, ",")
		keys, isSigner := known.Secrets, isSignerV1
		if version == "v1a" {
			keys, isSigner = known.PublicKeys, isSignerV1a
		} else if version != "v1" {
			continue
		}
		if len(keys) > 0 {
			reason = "signature_wrong"
		}
		signature, err := base64.StdEncoding.DecodeString(encoded)
		for _, key := range keys {
			if err == nil && isSigner(key, signature, content) {
				return nil
			}
		}
	}
	return reason
}

func isSignerV1(secret string, signature, content []byte) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	code := hmac.New(sha256.New, key)
	code.Write(content)
	return err == nil && hmac.Equal(code.Sum(nil), signature)
}

func isSignerV1a(publicKey string, signature, content []byte) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(publicKey, "whpk_"))
	return err == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, content, signature)
}

type header struct {
	Alg, Enc, Kid, Apu, Apv, Zip string
	Crit                         []string
	Epk                          struct{ Crv, X, Y string }
}

// decrypt opens a compact JWE: RFC 7516, with the two algorithms of RFC 7518 that are sent.
func decrypt(known Known, body string) ([]byte, error) {
	wrong := NotGenuine("encryption_wrong")
	var parts [5][]byte
	texts := strings.Split(body, ".")
	if len(texts) != len(parts) {
		return nil, wrong
	}
	for i, text := range texts {
		var err error
		if parts[i], err = base64.RawURLEncoding.DecodeString(text); err != nil {
			return nil, wrong
		}
	}
	var head header
	if json.Unmarshal(parts[0], &head) != nil || head.Kid == "" {
		return nil, wrong
	}
	key, isKnown := known.PrivateKeys[head.Kid]
	if !isKnown {
		return nil, NotGenuine("key_unknown")
	}
	if head.Enc != "A256GCM" || head.Zip != "" || head.Crit != nil || len(parts[2]) != 12 || len(parts[4]) != 16 {
		return nil, wrong
	}
	cek, err := contentKey(key, head, parts[1])
	if err != nil || len(cek) != 32 {
		return nil, wrong
	}
	block, _ := aes.NewCipher(cek)
	gcm, _ := cipher.NewGCM(block)
	plaintext, err := gcm.Open(nil, parts[2], append(parts[3], parts[4]...), []byte(texts[0]))
	if err != nil {
		return nil, wrong
	}
	return plaintext, nil
}

func contentKey(key any, head header, wrapped []byte) ([]byte, error) {
	switch private := key.(type) {
	case *rsa.PrivateKey:
		if head.Alg == "RSA-OAEP-256" {
			return rsa.DecryptOAEP(sha256.New(), nil, private, wrapped, nil)
		}
	case *ecdh.PrivateKey:
		if head.Alg == "ECDH-ES+A256KW" {
			x, errX := base64.RawURLEncoding.DecodeString(head.Epk.X)
			y, errY := base64.RawURLEncoding.DecodeString(head.Epk.Y)
			apu, errU := base64.RawURLEncoding.DecodeString(head.Apu)
			apv, errV := base64.RawURLEncoding.DecodeString(head.Apv)
			if err := errors.Join(errX, errY, errU, errV); err != nil {
				return nil, err
			}
			if private.Curve() == ecdh.P256() {
				x = append(append([]byte{4}, x...), y...)
			}
			theirs, err := private.Curve().NewPublicKey(x) // refuses what is not on the curve
			if err != nil {
				return nil, err
			}
			shared, err := private.ECDH(theirs)
			if err != nil {
				return nil, err
			}
			return unwrap(deriveKey(shared, head.Alg, apu, apv), wrapped)
		}
	}
	return nil, errors.New("another algorithm")
}

// deriveKey is the Concat KDF of RFC 7518 §4.6.2, for 256 bits.
func deriveKey(shared []byte, alg string, apu, apv []byte) []byte {
	input := binary.BigEndian.AppendUint32(nil, 1)
	input = append(input, shared...)
	for _, part := range [][]byte{[]byte(alg), apu, apv} {
		input = binary.BigEndian.AppendUint32(input, uint32(len(part)))
		input = append(input, part...)
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint32(input, 256))
	return sum[:]
}

// unwrap is the AES key unwrap of RFC 3394.
func unwrap(kek, wrapped []byte) ([]byte, error) {
	n := len(wrapped)/8 - 1
	if len(wrapped)%8 != 0 || n < 2 {
		return nil, errors.New("not wrapped")
	}
	block, _ := aes.NewCipher(kek)
	a, r := bytes.Clone(wrapped[:8]), bytes.Clone(wrapped[8:])
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			binary.BigEndian.PutUint64(a, binary.BigEndian.Uint64(a)^uint64(n*j+i))
			both := append(bytes.Clone(a), r[8*(i-1):8*i]...)
			block.Decrypt(both, both)
			copy(a, both[:8])
			copy(r[8*(i-1):], both[8:])
		}
	}
	if subtle.ConstantTimeCompare(a, bytes.Repeat([]byte{0xa6}, 8)) != 1 {
		return nil, errors.New("wrapped by another key")
	}
	return r, nil
}

// ReadPrivateKey reads a PEM of PKCS #8.
func ReadPrivateKey(text string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if elliptic, isElliptic := key.(*ecdsa.PrivateKey); isElliptic {
		return elliptic.ECDH()
	}
	return key, err
}

func main() {
	var vectors []struct {
		Secrets     []string
		PublicKeys  []string          `json:"public_keys"`
		PrivateKeys map[string]string `json:"private_keys"`
		Subscriber  string
		Now         int64
		Headers     [][2]string
		Body        string
	}
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &vectors)
	}
	if err != nil {
		panic(err)
	}
	for _, vector := range vectors {
		known := Known{vector.Secrets, vector.PublicKeys, map[string]any{}, vector.Subscriber}
		for kid, text := range vector.PrivateKeys {
			if known.PrivateKeys[kid], err = ReadPrivateKey(text); err != nil {
				panic(err)
			}
		}
		get := func(name string) string {
			for _, pair := range vector.Headers {
				if strings.EqualFold(pair[0], name) {
					return pair[1]
				}
			}
			return ""
		}
		envelope, err := Receive(known, get, []byte(vector.Body), vector.Now)
		if err != nil {
			fmt.Println(err)
			continue
		}
		var data struct{ Order struct{ Note string } }
		if err := json.Unmarshal(envelope.Data, &data); err != nil {
			panic(err)
		}
		fmt.Println("genuine", *envelope.ID, envelope.Type, data.Order.Note)
	}
}
