import com.google.protobuf.ByteString;
import dev.sigstore.proto.common.v1.PublicKeyDetails;
import dev.sigstore.proto.rekor.v2.HashedRekordRequestV002;
import dev.sigstore.proto.rekor.v2.PublicKey;
import dev.sigstore.proto.rekor.v2.Signature;
import dev.sigstore.proto.rekor.v2.Verifier;
import dev.sigstore.rekor.client.HashedRekordRequest;
import dev.sigstore.rekor.client.RekorClientHttp;
import dev.sigstore.rekor.client.RekorVerifier;
import dev.sigstore.rekor.v2.client.RekorV2ClientHttp;
import dev.sigstore.trustroot.Service;
import dev.sigstore.trustroot.SigstoreTrustedRoot;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.spec.ECGenParameterSpec;
import java.util.Base64;
import java.util.HexFormat;

/**
 * Uploads an entry by Rekor v1 and one by v2 with sigstore-java's own clients, reads the first back, finds it, and verifies
 * both offline. Arguments: the log's URL, and the trusted root that the log exported.
 */
public class Peer {
  public static void main(String[] arguments) throws Exception {
    var url = URI.create(arguments[0]);
    var root = SigstoreTrustedRoot.from(Files.newInputStream(Path.of(arguments[1])));
    var verifier = RekorVerifier.newRekorVerifier(root);

    var generator = KeyPairGenerator.getInstance("EC");
    generator.initialize(new ECGenParameterSpec("secp256r1"));
    var keys = generator.generateKeyPair();
    var artifact = ("an artifact signed at " + System.nanoTime()).getBytes(StandardCharsets.UTF_8);
    var digest = MessageDigest.getInstance("SHA-256").digest(artifact);
    var signer = java.security.Signature.getInstance("SHA256withECDSA");
    signer.initSign(keys.getPrivate());
    signer.update(artifact);
    var signature = signer.sign();
    var der = keys.getPublic().getEncoded();
    var pem = "-----BEGIN PUBLIC KEY-----\n" + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der) + "\n-----END PUBLIC KEY-----\n";
    var key = pem.getBytes(StandardCharsets.UTF_8);

    var v1 = RekorClientHttp.builder().setService(Service.of(url, 1)).build();
    var request = HashedRekordRequest.newHashedRekordRequest(digest, key, signature);
    var stored = v1.putEntry(request);
    verifier.verifyEntry(stored.getEntry());
    verifier.verifyEntry(v1.getEntry(request).orElseThrow());
    verifier.verifyEntry(v1.getEntry(stored.getUuid()).orElseThrow());
    found(v1.searchEntry(null, HexFormat.of().formatHex(digest), null, null), "hash");
    found(v1.searchEntry(null, null, "x509", Base64.getEncoder().encodeToString(key)), "key");
    System.out.println("v1 verified");

    var publicKey = PublicKey.newBuilder().setRawBytes(ByteString.copyFrom(der));
    var by = Verifier.newBuilder().setPublicKey(publicKey).setKeyDetails(PublicKeyDetails.PKIX_ECDSA_P256_SHA_256);
    var signed = Signature.newBuilder().setContent(ByteString.copyFrom(signature)).setVerifier(by);
    var v2 = RekorV2ClientHttp.builder().setService(Service.of(url, 2)).build();
    var proposal = HashedRekordRequestV002.newBuilder().setDigest(ByteString.copyFrom(digest)).setSignature(signed).build();
    verifier.verifyEntry(v2.putEntry(proposal));
    System.out.println("v2 verified");
  }

  private static void found(java.util.List<String> entries, String what) {
    if (entries.size() != 1) {
      throw new IllegalStateException("by " + what + " found " + entries);
    }
  }
}
