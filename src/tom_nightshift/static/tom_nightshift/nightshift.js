/* Nightshift's one script. htmx does the polling; this makes it considerate. Nothing on the pages depends on it.
   - polls only while the page is seen, and at once when it is seen again;
   - asks less often when the site does not answer, or when nothing has changed for a while;
   - does not take a button away between press and click, nor a log from under a selection;
   - keeps the log at its end, unless the reader has scrolled away;
   - counts the seconds of what runs. */
(function () {
  "use strict";
  if (window.nightshiftIsHere) return;
  window.nightshiftIsHere = true;

  var POLLS = "[data-nightshift-poll]";
  var QUIET_AFTER = 60; // unchanged answers in a row
  var QUIET_PACE = 5000;
  var LONGEST_PAUSE = 60000;

  var states = {}; // by id of the element: an element is replaced with every answer
  var pressed = false;
  var logAtEnd = true;
  var logTop = 0;
  var began = new WeakMap();

  function isPoll(element) {
    return Boolean(element && element.matches && element.matches(POLLS));
  }

  function stateOf(element) {
    return (states[element.id] = states[element.id] || { failures: 0, unchanged: 0, notBefore: 0 });
  }

  function pace(state) {
    if (state.failures) return Math.min(LONGEST_PAUSE, 1000 * Math.pow(2, state.failures));
    return state.unchanged > QUIET_AFTER ? QUIET_PACE : 0;
  }

  document.addEventListener("htmx:beforeRequest", function (event) {
    var element = event.detail.elt;
    if (isPoll(element) && (document.hidden || Date.now() < stateOf(element).notBefore)) event.preventDefault();
  });

  document.addEventListener("htmx:afterRequest", function (event) {
    var element = event.detail.elt;
    if (!isPoll(element)) return;
    var state = stateOf(element);
    state.failures = event.detail.successful ? 0 : state.failures + 1;
    state.unchanged = event.detail.xhr && event.detail.xhr.status === 204 ? state.unchanged + 1 : 0;
    state.notBefore = Date.now() + pace(state);
  });

  document.addEventListener("htmx:beforeSwap", function (event) {
    var last = event.detail.xhr.status === 286;
    if (isPoll(event.detail.elt) && !last && (pressed || logIsSelected())) event.detail.shouldSwap = false;
  });

  document.addEventListener("visibilitychange", function () {
    if (document.hidden || !window.htmx) return;
    document.querySelectorAll(POLLS).forEach(function (element) {
      stateOf(element).notBefore = 0;
      window.htmx.trigger(element, "nightshift:now");
    });
  });

  document.addEventListener("pointerdown", function () { pressed = true; });
  ["pointerup", "pointercancel"].forEach(function (name) {
    document.addEventListener(name, function () {
      setTimeout(function () { pressed = false; }, 100); // the click comes after
    });
  });

  function log() {
    return document.querySelector(".nightshift-log");
  }

  function logIsSelected() {
    var selection = window.getSelection();
    return Boolean(log() && selection && !selection.isCollapsed && log().contains(selection.anchorNode));
  }

  document.addEventListener("scroll", function (event) {
    var element = event.target;
    if (!element.classList || !element.classList.contains("nightshift-log")) return;
    logTop = element.scrollTop;
    logAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 16;
  }, true);

  function placeLog() {
    if (log()) log().scrollTop = logAtEnd ? log().scrollHeight : logTop;
  }

  document.addEventListener("htmx:oobAfterSwap", placeLog);

  document.addEventListener("submit", function (event) {
    if (!event.target.matches("[data-nightshift-once]")) return;
    event.target.querySelectorAll("button").forEach(function (button) { button.disabled = true; });
  });

  window.addEventListener("pageshow", function () { // back from the next page: the buttons are for use again
    document.querySelectorAll("[data-nightshift-once] button").forEach(function (button) { button.disabled = false; });
  });

  function inWords(seconds) {
    var whole = Math.floor(seconds);
    function two(number) { return (number < 10 ? "0" : "") + number; }
    if (whole < 60) return whole + " s";
    if (whole < 3600) return Math.floor(whole / 60) + " min " + two(whole % 60) + " s";
    return Math.floor(whole / 3600) + " h " + two(Math.floor((whole % 3600) / 60)) + " min";
  }

  function count() {
    document.querySelectorAll("[data-nightshift-elapsed]").forEach(function (element) {
      if (!began.has(element)) began.set(element, performance.now() - 1000 * element.dataset.nightshiftElapsed);
      element.textContent = inWords((performance.now() - began.get(element)) / 1000);
    });
  }

  function start() {
    if (window.htmx) document.documentElement.classList.add("nightshift-has-htmx");
    placeLog();
    count();
    setInterval(count, 1000);
  }

  // Deferred scripts run in their order on the page, and htmx may come after this one: wait for all of them.
  if (document.readyState === "complete") start();
  else document.addEventListener("DOMContentLoaded", start);
})();
