// The Content-Security-Policy allows no inline script, so the start of Swagger UI is a file.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null, // would send the address of this service to another host
});
