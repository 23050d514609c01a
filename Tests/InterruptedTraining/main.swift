import DPONNX
import Glibc

// A training that is there to be killed: as `dponnx train --checkpoint`, but noise that is drawn is counted in a file.
//
//     interrupted-training MODEL DATA FOLDER STEPS COUNTER
//
// COUNTER holds the number of times that noise was drawn, as an integer in memory shared with the file, so that it
// survives the process. Counting noise by its generator needs nothing of the training itself.

/// Counts a step when its noise begins to be drawn.
final class CountingGenerator: RandomGenerator {
    private let base = SecureRandomGenerator()
    private let counter: UnsafeMutablePointer<Int>?

    init(counter: UnsafeMutablePointer<Int>?) { self.counter = counter }

    var isPrivate: Bool { true }

    func fill(_ bytes: UnsafeMutableRawBufferPointer) {
        counter?.pointee += 1
        base.fill(bytes)
    }

    func next() -> UInt64 { base.next() }

    /// Stream 1 is the first parameter's noise, one request in every step if it is small.
    func stream(_ index: UInt64) -> any RandomGenerator { CountingGenerator(counter: index == 1 ? shared : nil) }
}

let arguments = CommandLine.arguments
let (folder, steps) = (arguments[3], Int(arguments[4])!)
let descriptor = open(arguments[5], O_RDWR)
nonisolated(unsafe) let shared = mmap(nil, 8, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)!
    .bindMemory(to: Int.self, capacity: 1)

let model = try LoadedModel(path: arguments[1])
let data = try DataSet(ArrayFile(path: arguments[2]), inputs: model.inputSlots(InputOptions()))
let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
let trainable = try model.trainable(names, for: data, InputOptions())
let mechanism = PrivacyMechanism(
    poissonBatchOf: 2, clippingNorm: 1, noiseMultiplier: 1, steps: steps, datasetSize: data.count)
let account = LedgerAccount(dataset: "")
let record =
    access(folder + "/run", F_OK) == 0
    ? try TrainingRecord(resuming: folder, mechanism: mechanism, account: account, ledger: nil, options: "")
    : try TrainingRecord(beginning: mechanism, account: account, ledger: nil, folder: folder, options: "")
let trainer = try Trainer(
    trainable, loss: LossSpecification(),
    options: TrainingOptions(
        mechanism: mechanism, clipping: ClippingOptions(), updateRule: .sgd,
        schedule: LearningRateSchedule(base: 0.1, totalSteps: steps)), data: data, physicalBatchSize: 2,
    parameters: trainable.makeParameters(), generator: CountingGenerator(counter: nil),
    pool: ThreadPool(threads: 1), record: record)
try record.restore(trainer)
while record.stepsLeft > 0 {
    _ = try trainer.step()
    if trainer.stepCount % 5 == 0 || record.stepsLeft == 0 { try record.save(trainer) }
}
