// Receive webhooks in Java 17: verify `v1` and `v1a`, open what is encrypted. The JDK only.
//
// Copy the class, without `main`; for JSON, take the library you have already instead of `Json`.
// Run the file to try it on test vectors:
//
//   java Receive.java vectors.json

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.interfaces.ECPrivateKey;
import java.security.interfaces.RSAPrivateKey;
import java.security.interfaces.XECPrivateKey;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.NamedParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.security.spec.XECPublicKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import javax.crypto.spec.SecretKeySpec;

public final class Receive {
    private static final long TOLERANCE_SECONDS = 300;

    /** Answer 400, and do nothing else. The message is the reason. */
    public static final class NotGenuine extends Exception {
        NotGenuine(String reason) {
            super(reason);
        }
    }

    /** What you were told (whsec_…, whpk_…), and your own private keys by their kid. */
    public record Known(
            List<String> secrets,
            List<String> publicKeys,
            Map<String, PrivateKey> privateKeys,
            String subscriber) {}

    /** Give the envelope. Names of headers in any case; the body is what came, byte for byte. */
    public static Map<?, ?> receive(
            Known known, Map<String, String> given, byte[] body, long nowSeconds)
            throws NotGenuine, GeneralSecurityException {
        var headers = new TreeMap<String, String>(String.CASE_INSENSITIVE_ORDER);
        headers.putAll(given);
        String id = headers.get("webhook-id"), timestamp = headers.get("webhook-timestamp");
        if (id == null || timestamp == null) throw new NotGenuine("header_missing");
        if (!timestamp.matches("[0-9]{1,15}")) throw new NotGenuine("timestamp_wrong");
        long age = nowSeconds - Long.parseLong(timestamp);
        if (age > TOLERANCE_SECONDS) throw new NotGenuine("timestamp_old");
        if (-age > TOLERANCE_SECONDS) throw new NotGenuine("timestamp_future");
        String signatures = headers.get("webhook-signature");
        if (signatures == null) throw new NotGenuine("signature_missing");
        checkSignature(known, signatures, join(bytes(id + "." + timestamp + "."), body));

        String type = headers.getOrDefault("content-type", "");
        boolean isEncrypted = type.startsWith("application/jose");
        byte[] plaintext = isEncrypted ? decrypt(known, body) : body;
        if (!(Json.read(plaintext) instanceof Map<?, ?> envelope)
                || !(envelope.get("id") instanceof String inner)) {
            throw new NotGenuine("body_wrong");
        }
        if (!inner.equals(id)) throw new NotGenuine("id_mismatch");
        if (isEncrypted && !known.subscriber.equals(envelope.get("subscriber"))) {
            throw new NotGenuine("subscriber_mismatch");
        }
        return envelope;
    }

    /** One good signature is enough: during a rotation there are several. */
    private static void checkSignature(Known known, String header, byte[] content)
            throws NotGenuine, GeneralSecurityException {
        var reason = "signature_unknown";
        for (String token : header.split(" ")) {
            String[] parts = token.split(",", 2);
            List<String> keys =
                    switch (parts[0]) {
                        case "v1" -> known.secrets;
                        case "v1a" -> known.publicKeys;
                        default -> List.of();
                    };
            if (keys.isEmpty()) continue;
            reason = "signature_wrong";
            byte[] signature;
            try {
                signature = Base64.getDecoder().decode(parts.length == 2 ? parts[1] : "");
            } catch (IllegalArgumentException notBase64) {
                continue;
            }
            for (String key : keys) {
                boolean isSigner =
                        parts[0].equals("v1")
                                ? isSignerV1(key, signature, content)
                                : isSignerV1a(key, signature, content);
                if (isSigner) return;
            }
        }
        throw new NotGenuine(reason);
    }

    private static boolean isSignerV1(String secret, byte[] signature, byte[] content)
            throws GeneralSecurityException {
        byte[] key = Base64.getDecoder().decode(secret.replaceFirst("^whsec_", ""));
        var mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return MessageDigest.isEqual(mac.doFinal(content), signature);
    }

    private static boolean isSignerV1a(String publicKey, byte[] signature, byte[] content)
            throws GeneralSecurityException {
        byte[] raw = Base64.getDecoder().decode(publicKey.replaceFirst("^whpk_", ""));
        byte[] prefix = HexFormat.of().parseHex("302a300506032b6570032100"); // "this is Ed25519"
        var key = KeyFactory.getInstance("Ed25519");
        var verifier = Signature.getInstance("Ed25519");
        verifier.initVerify(key.generatePublic(new X509EncodedKeySpec(join(prefix, raw))));
        verifier.update(content);
        try {
            return verifier.verify(signature);
        } catch (GeneralSecurityException notOfItsLength) {
            return false;
        }
    }

    /** Open a compact JWE: RFC 7516, with the two algorithms of RFC 7518 that are sent. */
    private static byte[] decrypt(Known known, byte[] body) throws NotGenuine {
        try {
            String[] parts = new String(body, StandardCharsets.US_ASCII).split("\\.", -1);
            if (parts.length != 5 || !(Json.read(decode(parts[0])) instanceof Map<?, ?> header)) {
                throw new NotGenuine("encryption_wrong");
            }
            PrivateKey key = known.privateKeys.get(header.get("kid"));
            if (key == null) throw new NotGenuine("key_unknown");
            byte[] iv = decode(parts[2]), tag = decode(parts[4]);
            if (!"A256GCM".equals(header.get("enc"))
                    || header.containsKey("zip")
                    || header.containsKey("crit")
                    || iv.length != 12
                    || tag.length != 16) {
                throw new NotGenuine("encryption_wrong");
            }
            var gcm = Cipher.getInstance("AES/GCM/NoPadding");
            var cek = contentKey(key, header, decode(parts[1]));
            gcm.init(Cipher.DECRYPT_MODE, cek, new GCMParameterSpec(128, iv));
            gcm.updateAAD(bytes(parts[0]));
            return gcm.doFinal(join(decode(parts[3]), tag));
        } catch (GeneralSecurityException | RuntimeException wrong) {
            throw new NotGenuine("encryption_wrong");
        }
    }

    private static SecretKeySpec contentKey(PrivateKey key, Map<?, ?> header, byte[] wrapped)
            throws GeneralSecurityException {
        var alg = (String) header.get("alg");
        byte[] found;
        if (key instanceof RSAPrivateKey && alg.equals("RSA-OAEP-256")) {
            var oaep = Cipher.getInstance("RSA/ECB/OAEPPadding");
            oaep.init( // without these, Java masks with SHA-1
                    Cipher.DECRYPT_MODE,
                    key,
                    new OAEPParameterSpec(
                            "SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT));
            found = oaep.doFinal(wrapped);
        } else if (!(key instanceof RSAPrivateKey) && alg.equals("ECDH-ES+A256KW")) {
            var agreement = KeyAgreement.getInstance(key instanceof ECPrivateKey ? "ECDH" : "X25519");
            agreement.init(key);
            agreement.doPhase(ephemeral(key, (Map<?, ?>) header.get("epk")), true);
            byte[] kek = deriveKey(agreement.generateSecret(), header);
            var unwrap = Cipher.getInstance("AESWrap");
            unwrap.init(Cipher.UNWRAP_MODE, new SecretKeySpec(kek, "AES"));
            found = unwrap.unwrap(wrapped, "AES", Cipher.SECRET_KEY).getEncoded();
        } else {
            throw new GeneralSecurityException("another algorithm");
        }
        if (found.length != 32) throw new GeneralSecurityException("another size");
        return new SecretKeySpec(found, "AES");
    }

    private static PublicKey ephemeral(PrivateKey ours, Map<?, ?> epk)
            throws GeneralSecurityException {
        byte[] x = decode((String) epk.get("x"));
        if (ours instanceof XECPrivateKey) {
            for (int i = 0; i < x.length / 2; i++) { // X25519 writes the lowest byte first
                byte kept = x[i];
                x[i] = x[x.length - 1 - i];
                x[x.length - 1 - i] = kept;
            }
            var spec = new XECPublicKeySpec(NamedParameterSpec.X25519, new BigInteger(1, x));
            return KeyFactory.getInstance("X25519").generatePublic(spec);
        }
        var point = new ECPoint(
                new BigInteger(1, x), new BigInteger(1, decode((String) epk.get("y"))));
        var curve = AlgorithmParameters.getInstance("EC");
        curve.init(new ECGenParameterSpec("secp256r1"));
        var spec = curve.getParameterSpec(ECParameterSpec.class);
        // That the point lies on the curve is checked by KeyAgreement.
        return KeyFactory.getInstance("EC").generatePublic(new ECPublicKeySpec(point, spec));
    }

    /** The Concat KDF of RFC 7518 §4.6.2, for 256 bits. */
    private static byte[] deriveKey(byte[] shared, Map<?, ?> header)
            throws GeneralSecurityException {
        var hash = MessageDigest.getInstance("SHA-256");
        hash.update(number(1));
        hash.update(shared);
        var alg = bytes((String) header.get("alg"));
        for (byte[] part : List.of(alg, optional(header, "apu"), optional(header, "apv"))) {
            hash.update(number(part.length));
            hash.update(part);
        }
        return hash.digest(number(256));
    }

    public static PrivateKey readPrivateKey(String pem) throws GeneralSecurityException {
        var spec = new PKCS8EncodedKeySpec(
                Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", "")));
        for (String kind : List.of("EC", "X25519", "RSA")) {
            try {
                return KeyFactory.getInstance(kind).generatePrivate(spec);
            } catch (GeneralSecurityException another) {
                continue;
            }
        }
        throw new GeneralSecurityException("neither EC, nor X25519, nor RSA");
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] decode(String text) {
        return Base64.getUrlDecoder().decode(text);
    }

    private static byte[] optional(Map<?, ?> header, String name) {
        return header.containsKey(name) ? decode((String) header.get(name)) : new byte[0];
    }

    private static byte[] number(int value) {
        return ByteBuffer.allocate(4).putInt(value).array();
    }

    private static byte[] join(byte[] one, byte[] two) {
        return ByteBuffer.allocate(one.length + two.length).put(one).put(two).array();
    }

    /** Just enough JSON to stand alone; `null` for what is none. */
    private static final class Json {
        private final String text;
        private int at = 0;

        private Json(String text) {
            this.text = text;
        }

        static Object read(byte[] bytes) {
            try {
                var json = new Json(new String(bytes, StandardCharsets.UTF_8));
                Object found = json.value();
                json.space();
                return json.at == json.text.length() ? found : null;
            } catch (RuntimeException | StackOverflowError none) {
                return null;
            }
        }

        private Object value() {
            space();
            char first = text.charAt(at);
            if (first == '{') {
                var found = new HashMap<String, Object>();
                while (more('}')) {
                    space();
                    String name = string();
                    space();
                    take(':');
                    found.put(name, value());
                }
                return found;
            }
            if (first == '[') {
                var found = new ArrayList<Object>();
                while (more(']')) found.add(value());
                return found;
            }
            if (first == '"') return string();
            int start = at;
            while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) at++;
            String word = text.substring(start, at);
            return switch (word) {
                case "true" -> true;
                case "false" -> false;
                case "null" -> null;
                default -> new BigDecimal(word);
            };
        }

        /** Go on behind a bracket or a comma, and say whether there is something. */
        private boolean more(char end) {
            space();
            char here = text.charAt(at++);
            boolean isOpening = here == '{' || here == '[';
            if (here == end) return false;
            if (!isOpening && here != ',') throw new IllegalArgumentException();
            space();
            if (isOpening && text.charAt(at) == end) {
                at++;
                return false;
            }
            return true;
        }

        private String string() {
            take('"');
            var found = new StringBuilder();
            while (text.charAt(at) != '"') {
                char next = text.charAt(at++);
                if (next == '\\') {
                    next = text.charAt(at++);
                    int which = "bfnrt".indexOf(next);
                    if (next == 'u') {
                        next = (char) Integer.parseInt(text.substring(at, at += 4), 16);
                    } else if (which >= 0) {
                        next = "\b\f\n\r\t".charAt(which);
                    }
                }
                found.append(next);
            }
            at++;
            return found.toString();
        }

        private void take(char wanted) {
            if (text.charAt(at++) != wanted) throw new IllegalArgumentException();
        }

        private void space() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
        }
    }

    @SuppressWarnings("unchecked")
    public static void main(String[] arguments) throws Exception {
        var out = new java.io.PrintStream(System.out, true, StandardCharsets.UTF_8);
        byte[] text = Files.readAllBytes(Path.of(arguments[0]));
        for (var vector : (List<Map<String, Object>>) Json.read(text)) {
            var headers = new HashMap<String, String>();
            for (var pair : (List<List<String>>) vector.get("headers")) {
                headers.put(pair.get(0), pair.get(1));
            }
            var keys = new HashMap<String, PrivateKey>();
            for (var pem : ((Map<String, String>) vector.get("private_keys")).entrySet()) {
                keys.put(pem.getKey(), readPrivateKey(pem.getValue()));
            }
            var known =
                    new Known(
                            (List<String>) vector.get("secrets"),
                            (List<String>) vector.get("public_keys"),
                            keys,
                            (String) vector.get("subscriber"));
            byte[] body = bytes((String) vector.get("body"));
            try {
                long now = ((BigDecimal) vector.get("now")).longValue();
                var opened = receive(known, headers, body, now);
                var order = (Map<?, ?>) ((Map<?, ?>) opened.get("data")).get("order");
                out.println("genuine " + opened.get("id") + " " + opened.get("type")
                        + " " + order.get("note"));
            } catch (NotGenuine refused) {
                out.println(refused.getMessage());
            }
        }
    }
}
