/** Files out of a drop or a file dialog, folders included. */

/** Every file of a drop; folders are read to their depth. */
export async function filesOfDrop(data: DataTransfer): Promise<File[]> {
  // Entries must be taken before the first await: the list is empty afterwards.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((e) => e !== null);
  if (!entries.length) return [...data.files];
  return (await Promise.all(entries.map(filesOfEntry))).flat();
}

async function filesOfEntry(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    return [await new Promise<File>((ok, no) => (entry as FileSystemFileEntry).file(ok, no))];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) {
    // A reader hands out a hundred entries at a time.
    const some = await new Promise<FileSystemEntry[]>((ok, no) => reader.readEntries(ok, no));
    if (!some.length) return files;
    files.push(...(await Promise.all(some.map(filesOfEntry))).flat());
  }
}

const hiddenFile = (file: File): boolean => file.name.startsWith(".") || file.name === "Thumbs.db";

/** What is sent as one study: a volume file, a zip, or the slices of a DICOM series. */
export function oneStudy(files: File[]): { files: File[] } | { problem: string } {
  const real = files.filter((file) => !hiddenFile(file));
  if (!real.length) return { problem: "There was no file in it." };
  const volumes = real.filter((file) => /\.(nii|nii\.gz|nrrd|mha|zip)$/i.test(file.name));
  if (volumes.length && real.length > 1) {
    return { problem: "Open one scan at a time: one volume file, one zip, or one DICOM folder." };
  }
  return { files: real };
}
