// The number beside a slider follows the hand. Without this file it shows what is set.
for (const form of document.querySelectorAll("form[data-dials]")) {
  form.addEventListener("input", ({ target }) => {
    if (target.type !== "range") return;
    const shown = target.parentElement.querySelector("output");
    shown.value = `${Math.round(target.value * 10000) / 100}%`;
  });
}
