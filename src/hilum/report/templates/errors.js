// Chooses a finding, a kind of call and a page of 24; the address holds the choice, so that a link
// or a reload shows the same. Without this script all calls stand one after the other.
{
  const PAGE = 24;
  const form = document.querySelector(".filter");
  const { finding, kind, maps, back, on } = form.elements;
  const shown = form.querySelector("output");
  const calls = [...document.querySelectorAll(".call")];
  const list = document.querySelector(".calls");
  let page = 0;

  function chosen() {
    return calls.filter((call) =>
      (!finding.value || call.dataset.finding === finding.value)
      && (!kind.value || call.dataset.kind === kind.value));
  }

  function show() {
    const found = chosen();
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    const seen = new Set(found.slice(page * PAGE, (page + 1) * PAGE));
    for (const call of calls) call.hidden = !seen.has(call);
    const first = found.length ? page * PAGE + 1 : 0;
    shown.textContent = `${first} to ${page * PAGE + seen.size} of ${found.length}`;
    back.disabled = page === 0;
    on.disabled = page === pages - 1;
  }

  function keep() {
    const words = [finding.value || "all", kind.value || "all", page ? String(page + 1) : ""];
    history.replaceState(null, "", `#${words.filter(Boolean).join("-")}`);
  }

  // an address such as #3-false_positive-2: finding, kind, page
  function read() {
    const [number = "", which = "", at = ""] = decodeURIComponent(location.hash.slice(1)).split("-");
    const has = (select, value) => [...select.options].some((option) => option.value === value);
    finding.value = has(finding, number) ? number : "";
    kind.value = has(kind, which) ? which : "";
    page = /^[0-9]+$/.test(at) ? Number(at) - 1 : 0;
    show();
  }

  function turned(step) {
    page += step;
    show();
    keep();
    form.scrollIntoView();
  }

  for (const select of [finding, kind]) {
    select.addEventListener("change", () => {
      page = 0;
      show();
      keep();
    });
  }
  back.addEventListener("click", () => turned(-1));
  on.addEventListener("click", () => turned(1));
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => {
    read();
    form.scrollIntoView();
  });
  if (maps) {
    const draw = () => list.classList.toggle("unmapped", !maps.checked);
    maps.addEventListener("change", draw);
    document.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() !== "h" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input, select, textarea") && event.target !== maps) return;
      maps.checked = !maps.checked;
      draw();
    });
    draw();
  }
  form.hidden = false;
  read();
}
