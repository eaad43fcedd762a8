// One run of ratings: index.html?run=sub-01_run-01 shows the list lists/sub-01_run-01.json.

const RATINGS = [
  "1: not there",
  "2: there, not the most prominent",
  "3: there, the most prominent",
];
const COLUMNS = [
  "trial",
  "stim_id",
  "stim_file",
  "label",
  "condition",
  "tfrecord_filename",
];

const jsPsych = initJsPsych();

function file(row) {
  return `stimuli/${row.stim_file.split("/").map(encodeURIComponent).join("/")}`;
}

function now(name) {
  return jsPsych.evaluateTimelineVariable(name);
}

function rating(type, shows, more) {
  const data = { task: "rating" };
  for (const column of COLUMNS) data[column] = jsPsych.timelineVariable(column);
  const shown = {
    type,
    choices: RATINGS,
    prompt: () => `<p>Is this <strong>${now("label")}</strong>?</p>`,
    response_allowed_while_playing: false,
    data,
    on_finish: (trial) => {
      trial.rating = trial.response + 1;
    },
    ...more,
  };
  return {
    timeline: [shown],
    conditional_function: () => shows(now("stim_type")),
  };
}

function experiment(rows) {
  const of = (audio) =>
    rows.filter((row) => (row.stim_type === "audio") === audio).map(file);
  const current = () => file({ stim_file: now("stim_file") });
  return [
    { type: jsPsychPreload, video: of(false), audio: of(true) },
    // Browsers play sound only after a first click.
    {
      type: jsPsychHtmlButtonResponse,
      stimulus: "<p>Watch and listen to each clip, and rate it when it has ended.</p>",
      choices: ["Begin"],
    },
    {
      timeline: [
        rating(jsPsychVideoButtonResponse, (type) => type !== "audio", {
          stimulus: () => [current()],
        }),
        rating(jsPsychAudioButtonResponse, (type) => type === "audio", {
          stimulus: current,
        }),
      ],
      timeline_variables: rows,
    },
  ];
}

function say(text) {
  jsPsych.getDisplayElement().innerHTML = `<p id="end">${text}</p>`;
}

async function save(name) {
  const keep = [...COLUMNS, "rating", "rt"];
  const ratings = jsPsych.data.get().filter({ task: "rating" }).filterColumns(keep);
  const sent = await fetch(`results/${name}.csv`, {
    method: "POST",
    body: ratings.csv(),
  }).catch(() => null);
  if (sent?.ok) {
    say("Thank you. Your ratings are saved.");
  } else {
    // Nothing is lost: the browser keeps what the server did not take.
    ratings.localSave("csv", `${name}.csv`);
    say("Thank you. Your ratings could not be sent, and are in your downloads.");
  }
}

function ask(leaving) {
  leaving.preventDefault();
}

async function main() {
  const name = new URLSearchParams(location.search).get("run") ?? "";
  const list = /^[\w-]+$/.test(name) ? await fetch(`lists/${name}.json`) : null;
  if (!list?.ok) {
    document.body.textContent = `There is no list of the name '${name}': add ?run=sub-01_run-01 to the address.`;
    return;
  }
  const rows = await list.json();
  // Ratings are saved at the end: let the browser ask before a tab is closed that has them.
  addEventListener("beforeunload", ask);
  await jsPsych.run(experiment(rows));
  await save(name);
  removeEventListener("beforeunload", ask);
}

main();
