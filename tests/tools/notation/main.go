// Command notation signs and verifies images with the Notary Project's own library, as its command line does: that program
// cannot be built as a module's dependency, the library can.
package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	"oras.land/oras-go/v2/registry/remote"
)

var (
	key      = flag.String("key", "", "private key of the signer (PEM, PKCS #8)")
	chain    = flag.String("chain", "", "certificates of the signer, its own first (PEM)")
	format   = flag.String("format", "application/jose+json", "media type of the envelope")
	expiry   = flag.Duration("expiry", 0, "how long the signature counts; 0 for ever")
	store    = flag.String("store", "", "trusted certificates (PEM)")
	identity = flag.String("identity", "*", "trusted identity")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if flag.NArg() != 2 {
		log.Fatalln("usage: notation [flags] sign|verify IMAGE")
	}
	repository, err := remote.NewRepository(flag.Arg(1))
	if err != nil {
		log.Fatalln(err)
	}
	repository.PlainHTTP = true
	commands := map[string]func(context.Context, *remote.Repository, string) error{"sign": sign, "verify": verify}
	run, known := commands[flag.Arg(0)]
	if !known {
		log.Fatalln("unknown command", flag.Arg(0))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, repository, flag.Arg(1)); err != nil {
		log.Fatalln(err)
	}
}

func sign(ctx context.Context, repository *remote.Repository, image string) error {
	by, err := signer.NewGenericSignerFromFiles(*key, *chain)
	if err != nil {
		return err
	}
	_, err = notation.Sign(ctx, by, registry.NewRepository(repository), notation.SignOptions{
		ArtifactReference: image,
		SignerSignOptions: notation.SignerSignOptions{SignatureMediaType: *format, ExpiryDuration: *expiry},
		UserMetadata:      map[string]string{"env": "prod"},
	})
	return err
}

func verify(ctx context.Context, repository *remote.Repository, image string) error {
	policy := &trustpolicy.Document{
		Version: "1.0",
		TrustPolicies: []trustpolicy.TrustPolicy{{
			Name:                  "interop",
			RegistryScopes:        []string{"*"},
			SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
			TrustStores:           []string{"ca:interop"},
			TrustedIdentities:     []string{*identity},
		}},
	}
	by, err := verifier.New(policy, fileStore{}, nil)
	if err != nil {
		return err
	}
	options := notation.VerifyOptions{ArtifactReference: image, MaxSignatureAttempts: 10}
	_, _, err = notation.Verify(ctx, by, registry.NewRepository(repository), options)
	return err
}

// fileStore trusts what -store holds, and nobody's time.
type fileStore struct{}

func (fileStore) GetCertificates(_ context.Context, kind truststore.Type, _ string) ([]*x509.Certificate, error) {
	if kind != truststore.TypeCA {
		return nil, fmt.Errorf("no store of type %s", kind)
	}
	rest, err := os.ReadFile(*store)
	if err != nil {
		return nil, err
	}
	var found []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		found = append(found, certificate)
	}
	if len(found) == 0 {
		return nil, errors.New("the store is empty")
	}
	return found, nil
}
