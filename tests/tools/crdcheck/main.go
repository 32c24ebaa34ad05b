// Command crdcheck does what an API server does when a CustomResourceDefinition is created, and when an object of it
// is: strict decoding, defaulting, the validation of structural schemas and of the cost of CEL rules; then pruning,
// defaulting, schema, list and CEL validation of the objects. It runs the API server's own packages.
//
// Arguments are files of definitions. On standard input it reads a JSON list of objects; on standard output it writes
// {"definitions": {NAME: [ERROR…]}, "objects": [{"errors": […], "stored": OBJECT}]}.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

type answer struct {
	Definitions map[string][]string `json:"definitions"`
	Objects     []judged            `json:"objects"`
}

type judged struct {
	Errors []string       `json:"errors"`
	Stored map[string]any `json:"stored"`
}

// served is one kind of object, as the API server keeps it.
type served struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("crdcheck: ")
	scheme := runtime.NewScheme()
	install.Install(scheme)
	result := answer{Definitions: map[string][]string{}, Objects: []judged{}}
	kinds := map[string]*served{}
	for _, path := range os.Args[1:] {
		crd, err := read(path, scheme)
		if err != nil {
			log.Fatalf("%s: %v", path, err)
		}
		errs := texts(crdvalidation.ValidateCustomResourceDefinition(context.Background(), crd))
		result.Definitions[crd.Name] = errs
		if len(errs) == 0 {
			if err := serve(crd, kinds); err != nil {
				log.Fatalf("%s: %v", path, err)
			}
		}
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatalf("standard input: %v", err)
	}
	var objects []any
	if err := utiljson.Unmarshal(input, &objects); err != nil { // whole numbers stay whole, as in requests
		log.Fatalf("standard input: %v", err)
	}
	for _, object := range objects {
		result.Objects = append(result.Objects, create(object.(map[string]any), kinds))
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatalln(err)
	}
}

// read decodes one definition as a strict API server does and prepares it as its strategy does before creation.
func read(path string, scheme *runtime.Scheme) (*apiextensions.CustomResourceDefinition, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var external apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(raw, &external); err != nil {
		return nil, err
	}
	scheme.Default(&external)
	var crd apiextensions.CustomResourceDefinition
	if err := scheme.Convert(&external, &crd, nil); err != nil {
		return nil, err
	}
	crd.Status = apiextensions.CustomResourceDefinitionStatus{}
	for _, version := range crd.Spec.Versions {
		if version.Storage {
			crd.Status.StoredVersions = []string{version.Name}
		}
	}
	return &crd, nil
}

// serve prepares every version of a definition (apiextensions-apiserver, customresource_handler.go).
func serve(crd *apiextensions.CustomResourceDefinition, kinds map[string]*served) error {
	for _, version := range crd.Spec.Versions {
		own, err := apiextensions.GetSchemaForVersion(crd, version.Name)
		if err != nil {
			return err
		}
		structural, err := schema.NewStructural(own.OpenAPIV3Schema)
		if err != nil {
			return err
		}
		if err := defaulting.PruneDefaults(structural); err != nil {
			return err
		}
		checker, _, err := validation.NewSchemaValidator(own.OpenAPIV3Schema)
		if err != nil {
			return err
		}
		rules := cel.NewValidator(structural, true, celconfig.PerCallLimit)
		name := fmt.Sprintf("%s/%s %s", crd.Spec.Group, version.Name, crd.Spec.Names.Kind)
		kinds[name] = &served{structural, checker, rules}
	}
	return nil
}

// create judges an object as a request to create it (customresource_handler.go, then customresource/strategy.go).
func create(object map[string]any, kinds map[string]*served) judged {
	kind, found := kinds[fmt.Sprintf("%v %v", object["apiVersion"], object["kind"])]
	if !found {
		return judged{Errors: []string{"no such kind"}, Stored: object}
	}
	pruning.Prune(object, kind.structural, true)
	defaulting.PruneNonNullableNullsWithoutDefaults(object, kind.structural)
	defaulting.Default(object, kind.structural)
	errs := validation.ValidateCustomResource(nil, object, kind.schema)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, kind.structural, object)...)
	if kind.rules != nil && !blocking(errs) {
		broken, _ := kind.rules.Validate(context.Background(), nil, kind.structural, object, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, broken...)
	}
	return judged{Errors: texts(errs), Stored: object}
}

// blocking says whether rules are not evaluated because the object's shape is wrong (strategy.go, hasBlockingErr).
func blocking(errs field.ErrorList) bool {
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany,
			field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}

func texts(errs field.ErrorList) []string {
	found := []string{}
	for _, err := range errs {
		found = append(found, err.Error())
	}
	return found
}
